"""Two ranks against one process: samples a second, and whether they learn what one process learns from twice the batch.

    python benchmarks/ranks.py [--quick] [--rounds 5] [--steps 300] [--data FOLDER]

Each process has one thread. Speed: the recipe `text_gpt` as a run of three minutes has it, step by step through fit();
one process and two ranks take turns, so that a busy machine slows both alike, and time is taken after the first steps.
Loss: `septet train text` on tiny Shakespeare, a process with a batch of 16 and torchrun's two ranks with 8 each, with
three seeds each; the difference of their last held-out losses, in standard errors of such a difference.
"""

import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measure.report as report
from measure import rounds
from measure.report import Figure

from septet import ranks
from septet.fitting import fit
from septet.fitting.pace import Pace
from septet.recipes.text_gpt import text_gpt

FASTER, ERRORS = 1.6, 3.0
WARM, TIMED = 3, 20  # steps
SEEDS = (0, 1, 2)
SMALL = {"tokens": "bytes", "length": 64, "width": 64, "layers": 2}


def timed(options: dict[str, Any]) -> None:
    """What each rank does where speed is measured; the first says how many samples all did in a second."""
    letters = random.Random(0).choices("abcdefghij klmnop\n", k=100_000)
    stage = text_gpt(["".join(letters)], tokens="bytes", **options).stages[0]
    steps, batches = fit(stage.learner, stage.batches(), stage.settings, Pace(steps=10**9)), stage.batches()
    for _ in range(WARM):
        next(steps)
    began = time.perf_counter()
    for _ in range(TIMED):
        next(steps)
    if ranks.first():
        samples = TIMED * ranks.world() * len(batches.at(0)["latents"])
        print(json.dumps(samples / (time.perf_counter() - began)))


def said(count: int, words: list[object], folder: Path) -> str:
    """What `python WORDS` says, on so many ranks of one thread."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if count > 1 else []
    command = [sys.executable, *launch, *map(str, words)]
    run = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    if run.returncode:
        raise SystemExit(f"{words[0]} ended with code {run.returncode}; its message stands above")
    return run.stdout


def speeds(options: dict[str, Any], count: int, folder: Path) -> dict[str, list[float]]:
    """Samples a second in each round, the order turned about every time."""
    found: dict[str, list[float]] = {"one process": [], "two ranks": []}
    for number in range(count):
        for name in list(found)[:: 1 if number % 2 else -1]:
            size = 1 if name == "one process" else 2
            told = said(size, [Path(__file__).resolve(), "--timed", json.dumps(options)], folder)
            found[name].append(float(told.splitlines()[-1]))
    return found


def curve(count: int, seed: int, steps: int, folder: Path) -> list[float]:
    """The held-out losses of one training, from the first to the last."""
    out = folder / f"model-{count}-{seed}"
    options = [f"{name}={value}" for name, value in (SMALL | {"batch": 16 // count}).items()]
    words = ["train", "text", folder / "text.txt", *options, "--steps", steps, "--seed", seed, "--out", out]
    said(count, ["-m", "septet", *words, "--no-evidence"], folder)
    rows = map(json.loads, (out / "training.jsonl").read_text().splitlines())
    return [row["validation_loss"] for row in rows if "validation_loss" in row]


def compared(steps: int, seeds: tuple[int, ...], folder: Path) -> list[Figure]:
    """How two ranks' losses differ from one process's: at the end, and at most on the way."""
    one, two = ([curve(count, seed, steps, folder) for seed in seeds] for count in (1, 2))
    ends = [[losses[-1] for losses in curves] for curves in (one, two)]
    figures = [Figure("held-out loss, one process", statistics.mean(ends[0]), "nats")]
    figures.append(Figure("held-out loss, two ranks", statistics.mean(ends[1]), "nats"))
    means = [[statistics.mean(at) for at in zip(*curves, strict=True)] for curves in (one, two)]
    apart = max(abs(a - b) for a, b in zip(*means, strict=True))
    figures.append(Figure("most that the mean curves are apart", apart, "nats"))
    if len(seeds) > 1:
        error = sum(statistics.variance(losses) / len(seeds) for losses in ends) ** 0.5
        difference = abs(statistics.mean(ends[0]) - statistics.mean(ends[1])) / error
        figures.append(Figure("difference at the end", difference, "errors", at_most=ERRORS))
    return figures


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--timed", help="the options of the recipe: what a rank is started with")
    asked, began = parser.parse_args(), time.monotonic()
    if asked.timed:
        timed(json.loads(asked.timed))
        return
    archive = asked.data / "tinyshakespeare.txt.gz"
    if not archive.exists():
        report.skip(f"Skipped: {archive} is not there.")
        return
    options: dict[str, Any] = {"length": 32, "width": 32, "layers": 1, "batch": 4} if asked.quick else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text.txt").write_bytes(gzip.decompress(archive.read_bytes()))
        found = speeds(options | {"seconds": 180.0}, 1 if asked.quick else asked.rounds, folder)
        figures = [Figure(name, statistics.median(values), "samples/s") for name, values in found.items()]
        ratio = rounds.ratio(found, "two ranks", "one process")
        figures.append(Figure("two ranks / one process", ratio, "times", at_least=FASTER))
        figures += compared(20 if asked.quick else asked.steps, SEEDS[:1] if asked.quick else SEEDS, folder)
    report.answer(figures, began, asked.quick, rounds=[[round(v, 2) for v in values] for values in found.values()])


if __name__ == "__main__":
    main()
