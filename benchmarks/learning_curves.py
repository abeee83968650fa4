"""Learning curves: the loss on unseen items against the number of training items, training from scratch and from a
starter.

    python benchmarks/learning_curves.py [--quick] [--only icons|text|digits] [--budget 60s] [--data FOLDER]

All models are trained for the same time (digits: the same number of steps), so that a curve shows what more data
improve within it. Icons are Teenyicons, which no starter was trained on; text is the beginning of tiny Shakespeare, in
bytes; digits are those of MNIST, with diffusion. All models of a kind are scored on the same unseen items; `as it
comes` is the starter without further training.
"""

import gzip
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import report
from measure.report import Figure
from own_style import split, thin_icons

sys.path.insert(0, str(Path(__file__).parent.parent / "pretraining"))
import emoji

from septet import models, runs
from septet.data.dataset import read
from septet.generator import Generator
from septet.modalities.image import Image

PIECE, ROWS = 100, 50  # characters per piece of text; items per batch


@dataclass(frozen=True)
class Curve:
    """`source(n)` are training data for `recipe`, n units of them; `fresh` are the unseen data and prompts to score."""

    recipe: str
    unit: str
    sizes: tuple[int, ...]
    source: Callable[[int], Any]
    fresh: tuple[list[Any], list[Any]]
    starter: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None


def icons(root: Path, data: Path) -> Curve:
    mine, others = split(thin_icons(emoji.CACHE), 300, root / "icons")
    order, names = np.random.default_rng(1), sorted(mine.iterdir())
    order.shuffle(names)

    def few(count: int) -> Path:
        folder = root / f"icons-{count}"
        folder.mkdir()
        for path in names[:count]:
            shutil.copy(path, folder)
        return folder

    model = models.load("icons")
    found = read(others, model.modality)
    fits = [i for i, datum in enumerate(found.data) if len(model.codec.symbols_of(datum)) < model.codec.length]
    fresh = [found.data[i] for i in fits], [found.prompts[i] for i in fits]
    return Curve("vector_gpt", "icons", (10, 30, 100, 300), few, fresh, "icons")


def text(root: Path, data: Path) -> Curve:
    whole = gzip.decompress((data / "tinyshakespeare.txt.gz").read_bytes()).decode()
    cut = int(len(whole) * 0.9)
    pieces = [whole[i : i + PIECE] for i in range(cut, len(whole) - PIECE, PIECE)]
    sizes, fresh = (3000, 10_000, 30_000, 100_000, 300_000, cut), (pieces, [None] * len(pieces))
    return Curve("text_gpt", "characters", sizes, lambda n: [whole[:n]], fresh, options={"tokens": "bytes"})


def digits(root: Path, data: Path) -> Curve:
    found = np.load(data / "mnist.npz")
    seen, modality = list(found["train_images"]), Image(28)
    fresh = [modality.take(picture) for picture in found["test_images"][:1000]]
    options = {"size": 28, "channels": 1, "prompts": "nothing", "width": 96, "layers": 3, "average": 0.99}
    sizes = (30, 100, 300, 1000, 3000)
    return Curve(
        "image_diffusion", "digits", sizes, lambda n: seen[:n], (fresh, [None] * len(fresh)), options=options, steps=400
    )


def score(model: Generator, fresh: tuple[list[Any], list[Any]]) -> float:
    """The loss, with the same noise for all models, over batches of equal size; a remainder is omitted."""
    torch.manual_seed(0)
    data, prompts = fresh
    cuts = range(0, len(data) - ROWS + 1, ROWS)
    return float(np.mean([model.score(data[i : i + ROWS], prompts[i : i + ROWS]) for i in cuts]))


def points(curve: Curve, budget: str, sizes: tuple[int, ...], root: Path) -> Iterator[Figure]:
    starter = models.load(curve.starter) if curve.starter else None
    if starter:
        yield Figure(f"{curve.unit}, {curve.starter} without training", score(starter, curve.fresh))
    for size in sizes:
        source = curve.source(size)
        for start in (None, starter) if starter else (None,):
            out = root / f"{curve.unit}-{size}-{'adapted' if start else 'anew'}"
            length: dict[str, Any] = {"steps": curve.steps} if curve.steps else {"budget": budget}
            model = runs.train(source, curve.recipe, out, start=start, **length, **curve.options)
            start_name = f"fine-tuned from {curve.starter}" if start else "from scratch"
            yield Figure(f"{size:,} {curve.unit} {start_name}", score(model, curve.fresh))


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--only", choices=list(KINDS), help="one of the three")
    parser.add_argument("--budget", default="60s", help="of each model")
    asked, began = parser.parse_args(), time.monotonic()
    missing = [name for name in ("mnist.npz", "tinyshakespeare.txt.gz") if not (asked.data / name).exists()]
    if missing:
        report.skip(f"Skipped: {asked.data / missing[0]} does not exist; give its folder with --data.")
        return
    figures: list[Figure] = []
    budget = "20s" if asked.quick else asked.budget
    with tempfile.TemporaryDirectory(prefix="septet-curves-") as root:
        for name, kind in KINDS.items():
            if asked.only in (None, name):
                curve = kind(Path(root), asked.data)
                for figure in points(curve, budget, curve.sizes[:: 3 if asked.quick else 1], Path(root)):
                    figures.append(figure)
                    print(f"{figure.name}: {figure.value:.4f}", flush=True)
    report.answer(figures, began, asked.quick, budget=budget)


KINDS: dict[str, Callable[[Path, Path], Curve]] = {"icons": icons, "text": text, "digits": digits}

if __name__ == "__main__":
    main()
