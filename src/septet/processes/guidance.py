"""Classifier-free guidance (Ho & Salimans 2022) for all processes: the network predicts with and without the prompt,
and the result is moved away from the prediction without it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contracts import Context


@dataclass(frozen=True)
class Guidance:
    """`weight` 1 is plain conditioning. `nothing` is the Context of the empty prompt, one row per sample. Outside
    `interval` (noise levels; sites of a sequence count as level 0.5) the weight is 1 (Kynkaanniemi et al. 2024)."""

    weight: float
    nothing: Context
    interval: tuple[float, float] = (0.0, 1.0)

    def at(self, level: float) -> float:
        return self.weight if self.interval[0] <= level <= self.interval[1] else 1.0


def doubled(guidance: Guidance | None, context: Context) -> Context:
    """The context for guided prediction: the rows of the prompts, then as many of the empty prompt."""
    return context if guidance is None else context.joined(guidance.nothing)


def repeated(guidance: Guidance | None, x: Tensor) -> Tensor:
    """Network input for `doubled` contexts."""
    return x if guidance is None else torch.cat([x, x])


def guided(guidance: Guidance | None, answer: Tensor, level: float = 0.5) -> Tensor:
    """Combines predictions from `repeated` inputs to one per sample."""
    if guidance is None:
        return answer
    prompted, plain = answer.chunk(2)
    return plain + guidance.at(level) * (prompted - plain)  # Ho & Salimans 2022, eq. 6, with w = 1 + their w
