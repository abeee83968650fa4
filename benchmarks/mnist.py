"""The five technologies on MNIST digits, each trained for minutes: quality of samples, and the likelihood of a VAE.

    python benchmarks/mnist.py [--quick] [--only NAME ...] [--budget 15m] [--seed 0] [--out FOLDER] [--data FOLDER]

A classifier trained on the real training digits classifies 10,000 generated digits, 1,000 of each class. Coverage,
density, precision and recall compare these with 10,000 real training digits, on the features of the classifier's last
layer and on septet's own; the floor is what the 10,000 real test digits score against the same training digits.

Shapes: n digits, F features.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import measure.bound as bound
import measure.judge as judges
import measure.report as report
import numpy as np
import torch
from measure.report import Figure
from torch import Tensor

from septet import runs
from septet.audits.fidelity import manifolds
from septet.generator import Generator
from septet.modalities.image import Image
from septet.output import Outputs


@dataclass(frozen=True)
class Technology:
    """A recipe with its budget and options for digits, sampling settings, and the figures that it must reach."""

    recipe: str
    accuracy: float
    coverage: float | None = None
    budget: str = "15m"
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    quick: dict[str, Any] = field(default_factory=dict)


DIGITS = {"size": 28, "channels": 1, "prompts": "labels"}
TOKENS = {"width": 192, "layers": 6, "codec_width": 32}
TINY = {"width": 32, "layers": 2, "batch": 16}
TECHNOLOGIES = {
    "diffusion": Technology(
        "image_diffusion",
        accuracy=0.97,
        coverage=0.75,
        options={"patch": 4, "width": 192, "layers": 6, "fill": 0.0},
        settings={"guidance": 1.5, "steps": 6},
        quick=TINY,
    ),
    "gan": Technology("image_gan", accuracy=0.95, budget="25m", options={"width": 32}, quick={"width": 8, "batch": 16}),
    "bert": Technology(
        "image_bert",
        accuracy=0.93,
        options=TOKENS | {"fill": 0.0},
        settings={"guidance": 1.5, "steps": 12},
        quick=TINY | {"codec_width": 8},
    ),
    "gpt": Technology(
        "image_gpt", accuracy=0.93, options=TOKENS, settings={"guidance": 1.5}, quick=TINY | {"codec_width": 8}
    ),
    "vae": Technology("image_vae", accuracy=0.80, options={"latent": 32}, quick={"width": 8, "hidden": 32}),
}
BOUND, BOUND_BUDGET = "bound", "30m"
JUDGE_ACCURACY, JUDGE_EPOCHS = 0.99, 5
SAMPLES, TILE, SHOWN = 10_000, 250, 100


@dataclass
class Digits:
    """The real digits; `real` are as many training digits as are generated, the reference of both comparisons."""

    train: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    samples: int

    @property
    def real(self) -> np.ndarray:
        order = np.random.Generator(np.random.Philox(0)).permutation(len(self.train))
        return self.train[order[: self.samples]]


def opened(path: Path, quick: bool) -> Digits:
    with np.load(path) as arrays:
        parts = [arrays[f"{part}_{kind}"] for part in ("train", "test") for kind in ("images", "labels")]
    if not quick:
        return Digits(*parts, SAMPLES)
    return Digits(*(part[::100] for part in parts), 100)


def trained(digits: Digits, technology: Technology, budget: str, seed: int, folder: Path, quick: bool):
    """Trains a model; returns it, the seconds until the data were read, and the seconds in all."""
    options, began, reading = DIGITS | technology.options | (technology.quick if quick else {}), time.monotonic(), 0.0
    source, model = (digits.train, digits.labels), None
    for progress in runs.training(source, technology.recipe, folder, budget, seed=seed, **options):
        reading = reading or time.monotonic() - began
        model = progress.model
        if progress.message and progress.step is None:
            print(f"  {progress.message}", flush=True)
    assert model is not None
    return model, reading, time.monotonic() - began


def drawn(model: Generator, count: int, settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, Outputs]:
    """Generates (n, 28, 28) pictures; returns them, their classes (0 to 9, repeated), and the first outputs."""
    requests = [(str(k % 10), k) for k in range(count)]
    pictures, shown = [], Outputs()
    for moment in model.generating(requests, tile=TILE, **settings):
        pictures += [output.datum[..., 0] for output in moment.outputs]
        shown += moment.outputs[: SHOWN - len(shown)]
    return np.stack(pictures), np.arange(count) % 10, shown


class Court:
    """Compares generated digits with real ones; everything that depends on real ones only is computed once."""

    def __init__(self, digits: Digits, seed: int, quick: bool):
        labels = torch.from_numpy(digits.labels.astype(np.int64))
        self.judge = judges.trained(torch.from_numpy(digits.train), labels, seed, 10 if quick else JUDGE_EPOCHS)
        read, _ = self.judge.looked_at(torch.from_numpy(digits.test))
        self.accuracy = float((read.numpy() == digits.test_labels).mean())
        self.spaces: dict[str, Callable[[np.ndarray], Tensor]] = {
            "judge": lambda x: self.judge.looked_at(torch.from_numpy(x))[1],
            "own": lambda x: Image(size=28).features(list(x)),
        }
        self.real = {name: features(digits.real) for name, features in self.spaces.items()}
        test = digits.test[: digits.samples]
        self.floor = {name: manifolds(features(test), self.real[name]) for name, features in self.spaces.items()}

    def figures(self, name: str, technology: Technology, pictures: np.ndarray, asked: np.ndarray) -> list[Figure]:
        read, _ = self.judge.looked_at(torch.from_numpy(pictures))
        accuracy = float((read.numpy() == asked).mean())
        found = [Figure(f"{name} class accuracy", accuracy, at_least=technology.accuracy)]
        for space, features in self.spaces.items():
            for kind, value in manifolds(features(pictures), self.real[space]).items():
                least = technology.coverage if kind == "coverage" and space == "judge" else None
                found.append(Figure(f"{name} {kind}, {space} features", value, at_least=least))
                found.append(Figure(f"- floor: {kind}, {space} features", self.floor[space][kind]))
        return found


def show(name: str, digits: Digits, court: Court, asked: Any, out: Path) -> list[Figure]:
    """Trains, samples and evaluates one technology; writes a sheet of samples to `out`."""
    technology = TECHNOLOGIES[name]
    budget = asked.budget or ("8s" if asked.quick else technology.budget)
    print(f"{name}: {technology.recipe} for {budget}", flush=True)
    model, reading, seconds = trained(digits, technology, budget, asked.seed, out / f"mnist-{name}", asked.quick)
    began = time.monotonic()
    settings = technology.settings | ({"steps": 2} if asked.quick and "steps" in technology.settings else {})
    pictures, wanted, shown = drawn(model, digits.samples, settings)
    drawing = time.monotonic() - began
    shown.sheet(size=56, columns=10).save(out / f"mnist-{name}.png")
    times = {"reading": reading, "training, all in all": seconds, "drawing": drawing}
    found = [Figure(f"{name} {what}", value, "s") for what, value in times.items()]
    verdict = court.figures(name, technology, pictures, wanted)
    print(f"  class accuracy {verdict[0].value:.4f}", flush=True)
    return verdict + found


def likelihood(digits: Digits, asked: Any) -> list[Figure]:
    """The likelihood bound, its standard error and its cost."""
    budget = asked.budget or ("6s" if asked.quick else BOUND_BUDGET)
    print(f"{BOUND}: a variational codec for {budget}", flush=True)
    train, test = (torch.from_numpy(x)[..., None] for x in (digits.train, digits.test))
    seconds = runs.seconds_of(budget)
    sizes = {"width": 8} if asked.quick else {}
    found = bound.vae_bound(train, test[:20] if asked.quick else test, seconds, asked.seed, **sizes)
    judged = {"bound_nats": bound.THRESHOLD_NATS}
    return [Figure(f"{BOUND} {name}", value, at_most=judged.get(name)) for name, value in found.items()]


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--only", nargs="+", choices=[*TECHNOLOGIES, BOUND], default=[*TECHNOLOGIES, BOUND])
    parser.add_argument("--budget", help="overrides each technology's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for models and sample sheets; default: a new temporary folder")
    asked, began = parser.parse_args(), time.monotonic()
    path = asked.data / "mnist.npz"
    if not path.exists():
        report.skip(f"Skipped: {path} does not exist; give its folder with --data.")
        return
    out = asked.out or Path(tempfile.mkdtemp(prefix="septet-mnist-"))
    out.mkdir(parents=True, exist_ok=True)
    digits, figures = opened(path, asked.quick), []
    technologies = [name for name in asked.only if name != BOUND]
    if technologies:
        court = Court(digits, 0, asked.quick)
        print(f"The classifier's accuracy on the real test digits is {court.accuracy:.2%}.", flush=True)
        figures.append(Figure("judge on real test digits", court.accuracy, at_least=JUDGE_ACCURACY))
        for name in technologies:
            figures += show(name, digits, court, asked, out)
    if BOUND in asked.only:
        figures += likelihood(digits, asked)
    print(f"Models and sheets are in {out}.")
    report.answer(figures, began, asked.quick, samples=digits.samples, seed=asked.seed)


if __name__ == "__main__":
    main()
