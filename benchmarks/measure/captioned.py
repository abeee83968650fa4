"""Samples of a generator for held-out captions: whether they match the captions, and whether they are new.

Pair test: the share of samples that are nearer, in fixed features of their picture, to the item of their caption than
to a random held-out item of the same style. For comparison: the same for training captions; for the training item with
the most similar caption (most words in common, same style), a baseline that copies; and for the item itself after
encoding and decoding, an upper bound (1 for icons, whose data were already encoded and decoded).

Shapes: Q samples, F features.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import measure.report as report
import septet
from measure.report import Figure
from septet.generator import Generator
from septet.originality import nearness

KNOWN = 300  # training captions, at most
TILE = 48
SPLITS = {"validation": 1, "test": 2}  # 0 is training


@dataclass(frozen=True)
class Captioned:
    """Items with captions: the prompt, words, style and split of each, and a function that returns the datum."""

    prompts: Sequence[str]
    words: Sequence[frozenset[str]]
    styles: Sequence[str]
    splits: np.ndarray
    datum: Callable[[int], Any]

    def split(self, name: str) -> np.ndarray:
        return np.flatnonzero(self.splits == SPLITS[name])

    def decoys(self, chosen: Sequence[int], pool: np.ndarray, random: np.random.Generator) -> list[int]:
        """For each chosen item, another one of `pool` with the same style and different words."""
        by_style: dict[str, list[int]] = {}
        for i in pool:
            by_style.setdefault(self.styles[i], []).append(int(i))
        found = []
        for i in chosen:
            others = [j for j in by_style[self.styles[i]] if self.words[j] != self.words[i]]
            found.append(int(random.choice(others or [int(j) for j in pool if j != i])))
        return found

    def retrieved(self, chosen: Sequence[int], training: np.ndarray) -> list[int]:
        """For each chosen item, the training item of its style with the most similar caption."""
        by_style: dict[str, list[int]] = {}
        for i in training:
            by_style.setdefault(self.styles[i], []).append(int(i))

        def likeness(i: int, j: int) -> float:
            return len(self.words[i] & self.words[j]) / max(1, len(self.words[i] | self.words[j]))

        found = []
        for i in chosen:
            options = by_style.get(self.styles[i]) or next(iter(by_style.values()))
            found.append(max(options, key=lambda j: likeness(i, j)))
        return found


def pair_test(drawn_QF: Tensor, own_QF: Tensor, other_QF: Tensor) -> float:
    """The share of samples nearer to their own item than to the decoy."""
    return float(((drawn_QF - own_QF).norm(dim=1) < (drawn_QF - other_QF).norm(dim=1)).float().mean())


def drawn(model: Generator, prompts: Sequence[str], settings: dict[str, Any]) -> list[Any]:
    """One sample per prompt, with seeds 0, 1, ..."""
    requests = [(prompt, seed) for seed, prompt in enumerate(prompts)]
    return [o.datum for moment in model.generating(requests, tile=TILE, **settings) for o in moment.outputs]


def round_trip(model: Generator, data: Iterable[Any]) -> list[Any]:
    """Encodes and decodes each datum."""
    return [model.modality.postprocess(model.decode(model.encode([datum]))[0]) for datum in data]


def measured(
    model: Generator, items: Captioned, split: str, count: int, settings: dict[str, Any], least: dict[str, float]
) -> list[Figure]:
    """All figures on samples for at most `count` captions of a split; `least` has the thresholds by figure."""
    modality, random = model.modality, np.random.default_rng(1)
    held, training = items.split(split), np.flatnonzero(items.splits == 0)
    count = min(count, len(held))
    chosen = random.choice(held, count, replace=False).tolist()

    def features(index: Sequence[int]) -> Tensor:
        return modality.features([items.datum(i) for i in index])

    began = time.process_time()
    drawings = drawn(model, [items.prompts[i] for i in chosen], settings)
    seconds = (time.process_time() - began) / count
    shown = [bool(np.asarray(modality.preview(datum, 32))[..., 3].any()) for datum in drawings]
    made, own = modality.features(drawings), features(chosen)
    other = features(items.decoys(chosen, held, random))
    known = random.choice(training, min(count, KNOWN), replace=False).tolist()
    again = modality.features(drawn(model, [items.prompts[i] for i in known], settings))
    pairs = {
        "pair test": pair_test(made, own, other),
        "pair test, training captions": pair_test(
            again, features(known), features(items.decoys(known, training, random))
        ),
        "pair test, retrieval": pair_test(features(items.retrieved(chosen, training)), own, other),
        "pair test, round trip": pair_test(modality.features(round_trip(model, map(items.datum, chosen))), own, other),
    }
    names = [items.prompts[i] for i in training]
    sides = ([items.datum(i) for i in part] for part in (training, held))
    calibration = nearness.calibrate(*sides, modality, names)
    verdicts = [verdict.word for verdict in calibration.verdicts(drawings)]
    shares = {word: verdicts.count(word) / len(verdicts) for word in ("new", "close", "copy")}
    honest = {f"{word}, of honest items": share for word, share in calibration.honest_shares().items()}
    values = {"drawings": count, "rendered": np.mean(shown), **pairs, **shares, **honest, "an item": seconds}
    units = {"an item": "processor-s"}
    return [Figure(name, float(v), units.get(name, ""), at_least=least.get(name)) for name, v in values.items()]


def main(
    purpose: str | None, name: str, data: Path, items: Callable[[Path, Generator], Captioned], least: dict[str, float]
) -> None:
    """Runs the benchmark of the starter `name` on the items of its data file."""
    parser = report.asking(purpose)
    parser.set_defaults(data=data)
    parser.add_argument("--model", default=name)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--setting", nargs="*", default=[], help="NAME=NUMBER, to try other sampling settings")
    parser.add_argument("--split", default="test", choices=SPLITS)
    asked, began = parser.parse_args(), time.monotonic()
    if not asked.data.exists():
        report.skip(f"Skipped: {asked.data} does not exist; pretraining/train_{name}.py builds it first.")
        return
    try:
        pairs = (word.split("=") for word in asked.setting)
        settings = {key: float(value) if "." in value else int(value) for key, value in pairs}
    except ValueError:
        parser.error(f"--setting {' '.join(asked.setting)}: expected NAME=NUMBER")
    model = septet.load(asked.model)
    count = 60 if asked.quick else asked.count
    figures = measured(model, items(asked.data, model), asked.split, count, settings, least)
    report.answer(figures, began, asked.quick, model=asked.model, split=asked.split, settings=settings)
