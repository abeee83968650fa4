"""Text on tiny Shakespeare: nats per character on the last tenth after 110 seconds of training by the command line.

    python benchmarks/shakespeare.py [--quick] [--seeds 3] [--budget 110s] [--data FOLDER]

The last 10 % of the characters, which are held out from training, are cut into non-overlapping windows of the model's
context length; the last one is shorter. Every character counts, including the first of a window, which is predicted
without context. The weights are those in the saved folder, in fp32.
"""

import gzip
import statistics
import tempfile
import time
from pathlib import Path

import measure.report as report
import torch
from measure.command import said
from measure.report import Figure

from septet import models
from septet.contracts import Context
from septet.data.dataset import read
from septet.generator import Generator
from septet.modalities.text import Text

THRESHOLD_NATS = 1.65
ROWS = 16


def trained(source: Path, folder: Path, budget: str, seed: int) -> tuple[Generator, float]:
    """Trains by the command line; returns the model and the seconds from start to exit."""
    words = ["train", "text", source, "tokens=characters", "--budget", budget, "--seed", seed, "--out", folder]
    began = time.monotonic()
    said(words, source.parent)
    seconds = time.monotonic() - began
    return models.load(folder), seconds


@torch.no_grad()
def nats_a_character(model: Generator, text: str) -> float:
    """Mean loss over all characters, with each window scored independently."""
    unknown = model.codec.unknown(text)
    if unknown:
        raise SystemExit(f"the validation text holds characters that do not occur in training: {unknown}")
    symbols, length = model.codec.symbols_of(text), model.process.space.sites
    windows, total = list(symbols.split(length)), 0.0
    for begin in range(0, len(windows), ROWS):
        rows = windows[begin : begin + ROWS]
        latents_BN = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        total += float(model.process.likelihood(latents_BN, Context()).double().sum())
    return total / len(symbols)


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--budget", default="110s")
    asked, began = parser.parse_args(), time.monotonic()
    archive = asked.data / "tinyshakespeare.txt.gz"
    if not archive.exists():
        report.skip(f"Skipped: {archive} does not exist; give its folder with --data.")
        return
    text = gzip.decompress(archive.read_bytes()).decode()
    text = text[:20_000] if asked.quick else text
    seeds, budget = (1, "40s") if asked.quick else (asked.seeds, asked.budget)
    held_out = text[int(len(text) * 0.9) :]
    with tempfile.TemporaryDirectory(prefix="septet-shakespeare-") as name:
        source = Path(name) / "shakespeare.txt"
        source.write_bytes(text.encode())
        found = read(source, Text())
        if [found[i].datum for i in found.validation] != [held_out]:
            raise SystemExit("septet did not hold out the last 10 % of the characters")
        nats, seconds = [], []
        for seed in range(seeds):
            model, took = trained(source, Path(name) / f"seed-{seed}", budget, seed)
            nats.append(nats_a_character(model, held_out))
            seconds.append(took)
            print(f"seed {seed}: {nats[-1]:.4f} nats per character after {took:.1f} s", flush=True)
    figures = [
        Figure("median over seeds", statistics.median(nats), "nats", at_most=THRESHOLD_NATS),
        *(Figure(f"seed {seed}", value, "nats") for seed, value in enumerate(nats)),
        Figure("command, median", statistics.median(seconds), "s"),
    ]
    facts = {"budget": budget, "context": model.process.space.sites, "validation_characters": len(held_out)}
    report.answer(figures, began, asked.quick, **facts)


if __name__ == "__main__":
    main()
