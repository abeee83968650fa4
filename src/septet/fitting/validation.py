"""The validation loss, and the protocol of batches."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Protocol

import torch

from .. import ranks
from ..contracts import Learner
from ..devices import device_in, moved, precise

RISE = 0.05  # the rise that counts, relative to the lowest validation loss
ENOUGH = 3  # validations since the lowest


class Batches(Protocol):
    """Training batches as a function of the step only, and validation batches in a fixed order."""

    def at(self, step: int) -> dict[str, Any]: ...

    def validation(self) -> Iterable[dict[str, Any]]: ...


def only_rises(rises: int, step: int, best_step: int, best_loss: float, last_loss: float) -> bool:
    """Whether the validation loss was lowest in the first half of the steps, was higher in at least ENOUGH validations
    (`rises`) since, and is now higher by RISE, relative."""
    return rises >= ENOUGH and 0 < best_step <= step / 2 and last_loss > best_loss + RISE * abs(best_loss)


def validate(learner: Learner, batches: Batches, most: int | None, precision: str = "fp32") -> float | None:
    """The mean validation loss over at most `most` batches, with the same noise every time; None if undefined."""
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
    total, weight = ranks.summed([total, weight])
    return total / weight if weight else None
