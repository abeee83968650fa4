"""Two ranks compared with one process: samples per second, and their loss against one process with twice the batch.

    python benchmarks/ranks.py [--quick] [--only speed|loss] [--rounds 15] [--steps 300] [--data FOLDER]

Every process has one thread. Speed: the recipe `text_gpt` with its defaults for three minutes, through fit(). Both
contestants run all the time and take turns at the same number of samples; `processor time` is the CPU time per sample,
all processes of a contestant together. On a busy machine the ratio of speeds is too high, since two processes get more
of the machine than one; the ratio of CPU times still holds.
Loss: a small GPT on the bytes of tiny Shakespeare, one process with a batch of 16 and two ranks with 8 each, five seeds
each, with the same validation text: the difference of their final validation losses, in standard errors.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measure.report as report
from measure import rounds
from measure.report import Figure

from septet import ranks
from septet.data.batches import Windows
from septet.fitting import fit
from septet.fitting.pace import Pace
from septet.recipes import Stage
from septet.recipes.text_gpt import text_gpt

FASTER, ERRORS = 1.6, 3.0
WARM, TURN = 2, 2  # steps of two ranks: before the first turn, and in each
BATCH = 16
SEEDS = tuple(range(5))
TINY = {"length": 32, "width": 32, "layers": 1, "batch": 4}
SMALL = {"tokens": "bytes", "length": 64, "width": 64, "layers": 2}


def stage_of(text: str, options: dict[str, Any], seed: int = 0) -> Stage:
    return text_gpt([text], seed, **options).stages[0]


def take_turns(options: dict[str, Any]) -> None:
    """A contestant in the speed test: for each line on stdin, trains on so many samples and prints the total CPU time
    of all ranks."""
    letters = random.Random(0).choices("abcdefghij klmnop\n", k=100_000)
    stage = stage_of("".join(letters), {"tokens": "bytes", "network": "s"} | options)
    steps = fit(stage.learner, stage.batches(), stage.settings, Pace(steps=10**9))
    count = WARM
    while True:
        for _ in range(count * 2 // ranks.world()):
            next(steps)
        taken = ranks.summed([time.process_time()])[0]
        if ranks.first():
            print(taken, flush=True)
        heard = not ranks.first() or sys.stdin.readline() != ""
        if not ranks.every(heard):  # called by all ranks, also as a barrier
            return
        count = TURN


def learn(path: Path, seed: int, steps: int) -> None:
    """A contestant in the loss test: trains and prints all validation losses, in order."""
    stage = stage_of(path.read_text(), SMALL | {"batch": BATCH // ranks.world()}, seed)
    batches: Any = stage.batches()
    batches.held_out = Windows(batches.held_out.tokens, SMALL["length"], BATCH)
    told = [step.validation for step in fit(stage.learner, batches, stage.settings, Pace(steps=steps), seed)]
    if ranks.first():
        print(json.dumps([loss for loss in told if loss is not None]))


def started(count: int, *words: object) -> subprocess.Popen[str]:
    """Starts this script with `count` ranks of one thread each."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if count > 1 else []
    command = [sys.executable, *launch, str(Path(__file__).resolve()), *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def heard(job: subprocess.Popen[str]) -> Any:
    assert job.stdout is not None
    line = job.stdout.readline()
    if not line:
        raise SystemExit(f"a contestant ended with code {job.wait()}; see its message above")
    return json.loads(line)


def speed(options: dict[str, Any], count: int) -> Iterator[Figure]:
    jobs = {name: started(size, "--turns", json.dumps(options)) for name, size in (("one", 1), ("two", 2))}
    first = {name: heard(job) for name, job in jobs.items()}
    taken = dict(first)

    def turn(name: str) -> Callable[[], None]:
        def call() -> None:
            job = jobs[name]
            assert job.stdin is not None
            job.stdin.write("go on\n")
            job.stdin.flush()
            taken[name] = heard(job)

        return call

    samples = TURN * 2 * options.get("batch", BATCH)
    found = rounds.speeds({name: turn(name) for name in jobs}, samples, count, 1)
    for job in jobs.values():
        job.communicate()
    yield Figure("one process", statistics.median(found["one"]), "samples/s")
    yield Figure("two ranks", statistics.median(found["two"]), "samples/s")
    yield Figure("two ranks / one process", rounds.ratio(found, "two", "one"), "times", at_least=FASTER)
    yield Figure("processor time per sample", (taken["two"] - first["two"]) / (taken["one"] - first["one"]), "times")


def loss(path: Path, steps: int, seeds: tuple[int, ...]) -> Iterator[Figure]:
    """The difference of the validation losses of two ranks and of one process: at the end, and the largest one."""

    def curve(count: int, seed: int) -> list[float]:
        job = started(count, "--learn", path, "--seed", seed, "--steps", steps)
        losses = heard(job)
        job.communicate()
        return losses

    one, two = zip(*((curve(1, seed), curve(2, seed)) for seed in seeds), strict=True)
    ends = [[losses[-1] for losses in curves] for curves in (one, two)]
    means = [[statistics.mean(at) for at in zip(*curves, strict=True)] for curves in (one, two)]
    yield Figure("validation loss, one process", means[0][-1], "nats")
    yield Figure("validation loss, two ranks", means[1][-1], "nats")
    yield Figure("mean curves apart, at most", max(abs(a - b) for a, b in zip(*means, strict=True)), "nats")
    if len(seeds) > 1:
        yield Figure("spread of one process", statistics.stdev(ends[0]), "nats")
        error = sum(statistics.variance(losses) / len(seeds) for losses in ends) ** 0.5
        yield Figure("difference at the end", abs(means[0][-1] - means[1][-1]) / error, "errors", at_most=ERRORS)


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--only", choices=["speed", "loss"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--turns", help="internal: run as a contestant in speed, with these recipe options")
    parser.add_argument("--learn", type=Path, help="internal: run as a contestant in loss, with this text")
    parser.add_argument("--seed", type=int, default=0, help="of a contestant")
    asked, began = parser.parse_args(), time.monotonic()
    if asked.turns:
        take_turns(json.loads(asked.turns))
        return
    if asked.learn:
        learn(asked.learn, asked.seed, asked.steps)
        return
    archive = asked.data / "tinyshakespeare.txt.gz"
    if asked.only != "speed" and not archive.exists():
        report.skip(f"Skipped: {archive} does not exist; give its folder with --data.")
        return
    figures: list[Figure] = []
    if asked.only != "loss":
        figures += speed(TINY if asked.quick else {}, 2 if asked.quick else asked.rounds)
    if asked.only != "speed":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.txt"
            path.write_bytes(gzip.decompress(archive.read_bytes()))
            figures += loss(path, 20 if asked.quick else asked.steps, SEEDS[:1] if asked.quick else SEEDS)
    report.answer(figures, began, asked.quick)


if __name__ == "__main__":
    main()
