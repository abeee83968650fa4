"""Whether a data set is large enough, by measured learning curves: see benchmarks/learning_curves.py, and "learning
curves" in the log of experiments."""

from dataclasses import dataclass

from ..storage.references import starters
from .dataset import Dataset


@dataclass(frozen=True)
class Enough:
    """How many units are enough to train from random weights (`train`), and to fine-tune a starter (`adapt`). The unit
    is "items", or one of the measures of Modality.extent."""

    unit: str
    train: int
    adapt: int | None = None


def advice(dataset: Dataset, known: Enough | None) -> str:
    """A sentence of advice, by what is `known` about the kind of content; "" if no curve was measured."""
    if known is None or dataset.modality.listed:
        return ""
    count = round(sum(dataset.extents[known.unit])) if known.unit in dataset.extents else len(dataset)
    told, starter = f"{count:,} {known.unit}", next(iter(starters(dataset.modality.name)), None)
    if count >= known.train:
        return f"{told}: enough to train a model from random weights."
    if known.adapt is not None and count >= known.adapt and starter:
        return f"{told}: enough to fine-tune the starter {starter!r}; from random weights, {known.train:,} are better."
    if known.adapt is None or not starter:
        return (
            f"{told}: few to train from random weights, which takes about {known.train:,}; more data would help more "
            "than more time."
        )
    return f"{told}: too few to train on; `septet generate {starter} --like FILE` generates variations of a file."
