"""What so many items are enough for, by learning curves that were measured: see benchmarks/learning_curves.py, and
"learning curves" in the log of experiments."""

from dataclasses import dataclass

from ..folders.references import starters
from .dataset import Dataset


@dataclass(frozen=True)
class Enough:
    """Items of a kind from which a model of one's own is worth its time (`train`), and from which going on from
    `starter` is (`adapt`); `unit` is what is counted."""

    unit: str
    train: int
    adapt: int | None = None
    starter: str | None = None


ENOUGH = {
    "vector": Enough("drawings", train=50_000, adapt=10, starter="icons"),  # the starter itself was trained on 54,918
    "image": Enough("pictures", train=400),  # lesson 7's shapes: from there on it is the steps that are few
    "text": Enough("characters", train=300_000),
}


def advice(dataset: Dataset) -> str:
    """One sentence; empty for a kind of which no curve was measured."""
    known = None if dataset.modality.listed else ENOUGH.get(dataset.modality.name)
    if known is None:
        return ""
    count = len(dataset)
    if known.unit == "characters":
        count = round(sum(dataset.extents.get("characters", [])))
    told, there = f"{count:,} {known.unit}", known.starter in starters()
    if count >= known.train:
        return f"{told}: enough to train a model from nothing."
    if known.adapt is not None and count >= known.adapt and there:
        return f"{told}: enough to adapt from the starter {known.starter!r}; from nothing, {known.train:,} are better."
    if known.starter is None or not there:
        return (
            f"{told}: few to train from nothing, which is worth it from about {known.train:,} on; more of them would "
            "help more than more time."
        )
    return f"{told}: too few to learn from; `septet generate {known.starter} --like FILE` makes more of one's kind."
