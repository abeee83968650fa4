"""The validation loss, and what training and validation take their batches from."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Protocol

import torch

from .. import ranks
from ..contracts import Learner
from ..devices import device_in, moved, precise


class Batches(Protocol):
    """Training batches as a function of the step alone, and held-out ones in a fixed order."""

    def at(self, step: int) -> dict[str, Any]: ...

    def validation(self) -> Iterable[dict[str, Any]]: ...


def validate(learner: Learner, batches: Batches, most: int | None, precision: str = "fp32") -> float | None:
    """The mean validation loss over at most `most` held-out batches, with the same noise every time."""
    total, weight = 0.0, 0.0
    for index, batch in enumerate(islice(batches.validation(), most)):
        if index % ranks.world() != ranks.rank():
            continue
        torch.manual_seed(index)
        with precise(learner, precision):
            figures = learner.validation(moved(batch, device_in(learner)))
        if figures is None:
            break
        total += float(figures["loss"].detach()) * float(figures["weight"])
        weight += float(figures["weight"])
    total, weight = ranks.added([total, weight])
    return total / weight if weight else None
