"""Classifier-free guidance, once, for every process: the network is asked with the prompt and without, and its answer
is pushed away from the promptless one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..contracts import Context


@dataclass(frozen=True)
class Guidance:
    """`weight` 1 is plain conditioning. `nothing` is the Context of no prompt, one row a sample. Outside
    `interval` (noise levels; sites of a sequence count as level 0.5) the weight is 1 (Kynkaanniemi et al. 2024)."""

    weight: float
    nothing: Context
    interval: tuple[float, float] = (0.0, 1.0)

    def at(self, level: float) -> float:
        return self.weight if self.interval[0] <= level <= self.interval[1] else 1.0


def doubled(guidance: Guidance | None, context: Context) -> Context:
    """The context that a guided network is asked with: the prompts' rows, then as many that say nothing."""
    return context if guidance is None else context.joined(guidance.nothing)


def repeated(guidance: Guidance | None, x: Tensor) -> Tensor:
    """Network input for `doubled` contexts."""
    return x if guidance is None else torch.cat([x, x])


def guided(guidance: Guidance | None, answer: Tensor, level: float = 0.5) -> Tensor:
    """One answer a sample from the answers to `repeated` inputs."""
    if guidance is None:
        return answer
    told, untold = answer.chunk(2)
    return untold + guidance.at(level) * (told - untold)  # Ho & Salimans 2022, eq. 6, with w = 1 + their w
