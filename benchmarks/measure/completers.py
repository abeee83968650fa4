"""Contestants in code completion: septet, its index alone, an n-gram model with a cache, a left-to-right model."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from rich.progress import track

from septet.code_completion import Completer, Index
from septet.codecs.symbols import Symbols
from septet.generator import Generator
from septet.processes.continuations import Continuation
from septet.processes.decoding import decode
from septet.processes.filters import Filter
from septet.text_inference.conversation import decoding_of

from .lines import Case, exact, similarity
from .ngram import NGram, line
from .report import Figure

ORDER, CACHED = 6, 3  # context in tokens of the n-gram model, and of its cache
SHARES = (0.2, 0.35, 0.5)  # weights of the cache; the best on validation packages is used
READ = 512  # tokens before the cursor that the left-to-right model reads
Draw = Callable[[Case], str]
Projects = Mapping[str, Mapping[str, str]]  # texts by path, of each package


def projects(files: list[tuple[str, str, str]]) -> Projects:
    found: dict[str, dict[str, str]] = {}
    for package, path, text in files:
        found.setdefault(package, {})[path] = text
    return found


class Indexed:
    """A completer with an index of the case's package."""

    def __init__(self, completer: Completer, beside: Projects):
        self.completer, self.beside = completer, beside
        self.indexes = {name: Index(completer.codec, files) for name, files in beside.items()}

    @contextmanager
    def around(self, case: Case) -> Iterator[Index]:
        """A context manager: the index, with the current file as it is around the case."""
        index = self.completer.index = self.indexes[case.package]
        self.completer.opened(case.before, case.after, case.path)
        yield index
        index.put(case.path, self.beside[case.package].get(case.path))


def completing(model: Generator, beside: Projects | None) -> Draw:
    """Completes with a model, and an index of the current file and its package (None: no index)."""
    completer = Completer(model)
    indexes = Indexed(completer, beside or {})

    def draw(case: Case) -> str:
        with nullcontext() if beside is None else indexes.around(case):
            found = completer.complete(case.before, case.after, floor=0.0)
        return found.text if found else ""

    return draw


def indexed(model: Generator, beside: Projects) -> Draw:
    """Completes with the index alone: the most frequent next token, repeatedly."""
    completer, codec = Completer(model), model.codec
    assert isinstance(codec, Symbols)
    indexes = Indexed(completer, beside)

    def draw(case: Case) -> str:
        text = ""
        with indexes.around(case) as index:
            while "\n" not in text and len(text) < 200:
                followers = index.after(case.before + text).followers
                if not followers:
                    break
                text += codec.text_of(torch.tensor([followers.most_common(1)[0][0]]))
        return text

    return draw


def counted(codec: Symbols, texts: list[str], validation: list[Case]) -> Draw:
    symbols = np.concatenate([codec.symbols_of(text).numpy() for text in texts])
    vocabulary = codec.space.symbols or 0
    model = NGram(symbols, ORDER, vocabulary)
    ends = {n for n in range(codec.plain) if "\n" in codec.text_of(torch.tensor([n]))}

    def draw(case: Case, share: float) -> str:
        context = codec.symbols_of(case.before[-2000:]).tolist()
        cache = NGram(codec.symbols_of(case.before + "\0" + case.after).numpy(), CACHED, vocabulary)
        return codec.text_of(torch.tensor(line(model, cache, share, context, ends, 40)))

    def right(share: float) -> int:
        return sum(exact(draw(case, share), case.line) for case in validation)

    best = max(SHARES, key=right)
    print(f"n-gram: {len(symbols):,} tokens, cache {best}", flush=True)
    return lambda case: draw(case, best)


def left_to_right(model: Generator) -> Draw:
    decoding = decoding_of(model)
    assert isinstance(model.codec, Symbols)
    codec: Symbols = model.codec

    def draw(case: Case) -> str:
        given = codec.symbols_of(case.before[-4 * READ :])[-READ:]
        request = Continuation(given, torch.zeros(1), Filter(0.0), 40)
        for _ in decode(decoding, [request]):
            if "\n" in codec.text_of(torch.tensor(request.drawn)).lstrip():
                decoding.drop(request)
        return codec.text_of(torch.tensor(request.drawn)).lstrip()

    return draw


def judged(name: str, draw: Draw, found: list[Case]) -> tuple[list[Figure], float]:
    """Exact match, edit similarity and time per completion of a contestant."""
    alike, right, seconds = [], [], []
    for case in track(found, name, disable=not sys.stderr.isatty()):
        began = time.monotonic()
        drawn = draw(case)
        seconds.append(time.monotonic() - began)
        right.append(exact(drawn, case.line))
        alike.append(similarity(drawn, case.line))
    rate = float(np.mean(right))
    error = (rate * (1 - rate) / len(right)) ** 0.5
    figures = [Figure(f"{name}: exact match", rate), Figure(f"{name}: edit similarity", float(np.mean(alike)))]
    print(f"{name:40s} {rate:.3f} (se {error:.3f}) {np.mean(alike):.3f} {statistics.median(seconds):.3f} s", flush=True)
    return [*figures, Figure(f"{name}: median", statistics.median(seconds), "s")], rate
