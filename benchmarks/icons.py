"""The starter `icons` on captions it never saw: do the drawings parse, are they what was asked for, are they new?

The pair test: a drawing for a held-out caption counts if it is nearer, in frozen features of its rendering, to its own
caption's icon than to a random held-out icon of the same style and set. Beside it: the same for training captions, and
for the icon whose training caption is the nearest (most words in common, same style and set), a baseline that copies.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "starters"))
import icons

import septet
from septet.audits import originality
from septet.conditioners import words_of
from septet.modalities.vector import Vector

VECTOR = Vector()


def split_prompt(prompt: str) -> tuple[frozenset[str], str]:
    """The words of a caption, and its style and set."""
    caption, _, style = prompt.partition(", ")
    return frozenset(words_of(caption)), style


def decoys(chosen: np.ndarray, pool: np.ndarray, prompts: list[str], random: np.random.Generator) -> list[int]:
    """For each chosen icon another one of `pool` of the same style and set, with another caption."""
    by_style: dict[str, list[int]] = {}
    for i in pool:
        by_style.setdefault(split_prompt(prompts[i])[1], []).append(int(i))
    found = []
    for i in chosen:
        caption, style = split_prompt(prompts[i])
        others = [j for j in by_style[style] if split_prompt(prompts[j])[0] != caption]
        found.append(int(random.choice(others or [int(j) for j in pool if j != i])))
    return found


def pair_test(drawn: torch.Tensor, own: torch.Tensor, other: torch.Tensor) -> float:
    """The share of drawings nearer to their own icon than to the decoy."""
    return float(((drawn - own).norm(dim=1) < (drawn - other).norm(dim=1)).float().mean())


def retrieved(chosen: np.ndarray, training: np.ndarray, prompts: list[str]) -> list[int]:
    """The training icon of the nearest caption for each chosen one."""
    by_style: dict[str, list[tuple[frozenset[str], int]]] = {}
    for i in training:
        words, style = split_prompt(prompts[i])
        by_style.setdefault(style, []).append((words, int(i)))
    found = []
    for i in chosen:
        words, style = split_prompt(prompts[i])
        options = by_style.get(style) or next(iter(by_style.values()))
        found.append(max(options, key=lambda o: len(words & o[0]) / max(1, len(words | o[0])))[1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="icons")
    parser.add_argument("--data", type=Path, default=icons.CACHE / "icons.npz")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--setting", nargs="*", default=[], help="name=value, to try other sampling settings")
    parser.add_argument("--split", default="test", choices=["test", "validation"])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"{options.data} is not there: build it with starters/icons.py")
        print(json.dumps({"ok": None, "skipped": "no data"}))
        return
    count = 60 if options.quick else options.count
    symbols, prompts, splits = icons.load(options.data)
    model, random = septet.load(options.model), np.random.default_rng(1)
    settings = {k: float(v) for k, v in (word.split("=") for word in options.setting)}
    part = {"test": 2, "validation": 1}[options.split]
    held, training = np.flatnonzero(splits == part), np.flatnonzero(splits == 0)

    def icon_features(index) -> torch.Tensor:
        return VECTOR.features([model.codec.decode(symbols[i][None])[0] for i in index])

    chosen = random.choice(held, min(count, len(held)), replace=False)
    began = time.process_time()
    drawings = [o.datum for o in model.generate([prompts[i] for i in chosen], seed=0, tile=50, **settings)]
    seconds = (time.process_time() - began) / len(chosen)
    inked = [any(f.segments for f in d.figures) and np.asarray(VECTOR.preview(d, 32))[..., 3].any() for d in drawings]
    drawn, own = VECTOR.features(drawings), icon_features(chosen)
    other = icon_features(decoys(chosen, held, prompts, random))
    known = random.choice(training, min(count, 300), replace=False)
    again = VECTOR.features([o.datum for o in model.generate([prompts[i] for i in known], seed=0, tile=50, **settings)])
    training_names = [prompts[i] for i in training]
    calibration = originality.calibrate(
        [model.codec.decode(symbols[i][None])[0] for i in training],
        [model.codec.decode(symbols[i][None])[0] for i in held],
        VECTOR,
        training_names,
    )
    verdicts = [v.word for v in calibration.verdicts(drawings)]
    figures = {
        "drawings": len(chosen),
        "rendered": float(np.mean(inked)),
        "pair_test": pair_test(drawn, own, other),
        "pair_test_training": pair_test(
            again, icon_features(known), icon_features(decoys(known, training, prompts, random))
        ),
        "pair_test_retrieval": pair_test(icon_features(retrieved(chosen, training, prompts)), own, other),
        "new": verdicts.count("new") / len(verdicts),
        "close": verdicts.count("close") / len(verdicts),
        "copy": verdicts.count("copy") / len(verdicts),
        "honest": calibration.honest_shares(),
        "processor_seconds_an_icon": round(seconds, 3),
    }
    for name, value in figures.items():
        print(f"{name:28s}{value}")
    thresholds = {"rendered": 0.99, "pair_test": 0.75, "new": 0.9}
    ok = all(figures[name] >= least for name, least in thresholds.items())
    print(json.dumps({**figures, "thresholds": thresholds, "ok": ok}))


if __name__ == "__main__":
    main()
