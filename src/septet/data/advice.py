"""What so many items are enough for, by learning curves that were measured: see benchmarks/learning_curves.py, and
"learning curves" in the log of experiments."""

from dataclasses import dataclass

from ..folders.references import starters
from .dataset import Dataset


@dataclass(frozen=True)
class Enough:
    """Items of a kind from which a model of one's own is worth its time (`train`), and from which going on from a
    starter is (`adapt`); `unit` is what is counted: items, or one of the measures of Modality.extent."""

    unit: str
    train: int
    adapt: int | None = None


def advice(dataset: Dataset, known: Enough | None) -> str:
    """One sentence by what is `known` of the kind; empty where no curve was measured."""
    if known is None or dataset.modality.listed:
        return ""
    count = round(sum(dataset.extents[known.unit])) if known.unit in dataset.extents else len(dataset)
    told, starter = f"{count:,} {known.unit}", next(iter(starters(dataset.modality.name)), None)
    if count >= known.train:
        return f"{told}: enough to train a model from nothing."
    if known.adapt is not None and count >= known.adapt and starter:
        return f"{told}: enough to adapt from the starter {starter!r}; from nothing, {known.train:,} are better."
    if known.adapt is None or not starter:
        return (
            f"{told}: few to train from nothing, which is worth it from about {known.train:,} on; more of them would "
            "help more than more time."
        )
    return f"{told}: too few to learn from; `septet generate {starter} --like FILE` makes more of one's kind."
