"""False positives and power of the verdicts new, close and copy, on data and models whose copying is known.

    python benchmarks/verdicts.py [--quick] [--budget 2m] [--data FOLDER]

Digits of MNIST. First without a model: how often held-out digits are called copies (false positives), and how often
transformed training digits are, by kind and strength of the transformation (power). Then with models: diffusion trained
for the same time on 64, 256 and 1,600 digits, and on 1,600 with seven canaries planted 1 to 64 times. The last weights
are kept instead of the best, so that models trained on few digits memorise them.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import report
from measure.report import Figure
from PIL import Image as Pillow

from septet import runs
from septet.audits import exposure
from septet.audits.audited import Audited
from septet.data.dataset import read
from septet.modalities.image import Image
from septet.originality import evidence, nearness

SIDE, TRAINING, FRESH = 28, 1600, 4000
SIZES = (64, 256, 1600)
OPTIONS: dict[str, Any] = {"size": SIDE, "channels": 1, "prompts": "nothing", "patch": 4, "width": 128, "layers": 4}
DRAWN = 200
PIXELS, SHARES, SIGMAS = (1, 2, 3, 5), (0.04, 0.08, 0.15, 0.25), (10, 30, 60, 100)


def shifted(picture: np.ndarray, pixels: float, seed: int) -> np.ndarray:
    return np.roll(picture, (int(pixels), -int(pixels)), (0, 1))


def cropped(picture: np.ndarray, share: float, seed: int) -> np.ndarray:
    edge = max(1, round(share * SIDE / 2))
    inner = Pillow.fromarray(picture[edge:-edge, edge:-edge])
    return np.asarray(inner.resize((SIDE, SIDE), Pillow.Resampling.BICUBIC))


def noisy(picture: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, (SIDE, SIDE, 1)) * (1, 1, 1, 0)
    return (picture + noise).clip(0, 255).astype(np.uint8)


def flipped(picture: np.ndarray, strength: float, seed: int) -> np.ndarray:
    return picture[:, ::-1].copy()


def recoloured(picture: np.ndarray, strength: float, seed: int) -> np.ndarray:
    tint = np.random.default_rng(seed).integers(90, 256, 3)
    return np.dstack([(picture[..., :3] * (tint / 255)).astype(np.uint8), picture[..., 3:]])


DISGUISES: dict[str, tuple[Callable[[np.ndarray, float, int], np.ndarray], tuple[float, ...]]] = {
    "flipped": (flipped, (1,)),
    "recoloured": (recoloured, (1,)),
    "shifted, pixels": (shifted, PIXELS),
    "cropped, share": (cropped, SHARES),
    "noisy, of 255": (noisy, SIGMAS),
}


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--budget", default="2m", help="of each model")
    asked, began = parser.parse_args(), time.monotonic()
    path = asked.data / "mnist.npz"
    if not path.exists():
        report.skip(f"Skipped: {path} does not exist; give its folder with --data.")
    digits = np.load(path)
    few = 8 if asked.quick else 1
    training, fresh = digits["train_images"][: TRAINING // few], digits["test_images"][: FRESH // few]
    figures = [*without_models(training, fresh), *with_models(training, fresh, "20s" if asked.quick else asked.budget)]
    report.answer(figures, began, asked.quick, budget=asked.budget)


def without_models(training: np.ndarray, fresh: np.ndarray) -> Iterator[Figure]:
    dataset = read(list(training), Image(SIDE))
    kept = evidence.gather(dataset)
    words = [v.word for v in kept.verdicts([dataset.modality.take(p) for p in fresh])]
    yield Figure("fresh digits called copies", words.count("copy") / len(words), at_most=0.01)
    yield Figure("fresh digits called close", words.count("close") / len(words))
    asked = dataset.training[:200]
    for name, (disguise, strengths) in DISGUISES.items():
        for strength in strengths:
            data = [disguise(dataset.data[i], strength, i) for i in asked]
            found = kept.verdicts(data)
            named = sum(v.word == "copy" and v.nearest == dataset.sources[i] for v, i in zip(found, asked, strict=True))
            told = f"{name} {strength:g}" if len(strengths) > 1 else name
            yield Figure(f"power, {told}", sum(v.word == "copy" for v in found) / len(found))
            yield Figure(f"named rightly, {told}", named / len(found))


def with_models(training: np.ndarray, fresh: np.ndarray, budget: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="septet-verdicts-") as root:
        for size in SIZES:
            folder = Path(root) / str(size)
            model = runs.train(list(training[:size]), "image_diffusion", folder, budget=budget, keep="last", **OPTIONS)
            seen, unseen = read(list(training[:size]), model.modality), [model.modality.take(p) for p in fresh]
            data, names = [seen.data[i] for i in seen.training], [seen.sources[i] for i in seen.training]
            judge = nearness.calibrate(data, unseen, model.modality, names)
            words = [v.word for v in judge.verdicts([o.datum for o in model.generate(count=DRAWN, tile=50)])]
            yield Figure(f"copies drawn by a model of {size} digits", words.count("copy") / len(words))
        folder, data = Path(root) / "canaries", list(training)
        model = runs.train(data, "image_diffusion", folder, budget=budget, keep="last", canaries=7, **OPTIONS)
        dataset = read(data, model.modality)
        found = exposure.view(Audited(model, folder, {"canaries": 7}, folder, dataset, [], [], None, {}))
        for times, bits in (found.figures if found else {}).items():
            yield Figure(f"exposure of a canary planted {times} times", bits, "bits")


if __name__ == "__main__":
    main()
