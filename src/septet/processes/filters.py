"""Which symbols a draw may take, and which it takes.

Shapes: B batch, V symbols.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..space import Refusal


def capped(scores: Tensor, most: float | None) -> Tensor:
    """Scores between -most and most, small ones as they are; all as they are for None."""
    return scores if most is None else most * torch.tanh(scores / most)  # Gemma Team 2024


@dataclass(frozen=True)
class Filter:
    """Which symbols a draw may take: the `top_k` most likely, the smallest set of mass `top_p` (Holtzman et al. 2020),
    those at least `min_p` times as likely as the best (Nguyen et al. 2024), after dividing scores by `temperature`."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self):
        if not 0 <= self.temperature < 100:
            raise Refusal(f"temperature={self.temperature}: expected 0 (always the likeliest) to 100")
        for name, value in (("top_p", self.top_p), ("min_p", self.min_p)):
            if value is not None and not 0 < value <= 1:
                raise Refusal(f"{name}={value}: expected a share above 0 and at most 1")
        if self.top_k is not None and self.top_k < 1:
            raise Refusal(f"top_k={self.top_k}: expected at least 1")

    def choose(self, scores_BV: Tensor, uniform_B: Tensor) -> Tensor:
        """One symbol a sample, by the inverse of the distribution function at `uniform_B`."""
        if self.temperature == 0:
            return scores_BV.argmax(-1)
        chances, order = (scores_BV.double() / self.temperature).softmax(-1).sort(-1, descending=True)
        if self.top_k is not None:
            chances[:, self.top_k :] = 0
        if self.min_p is not None:
            chances = chances * (chances >= self.min_p * chances[:, :1])
        if self.top_p is not None:
            chances = chances * (chances.cumsum(-1) - chances < self.top_p)
        heights = chances.cumsum(-1)
        place = torch.searchsorted(heights, uniform_B.double()[:, None] * heights[:, -1:], right=True)
        return order.gather(1, place.clamp(max=scores_BV.shape[1] - 1))[:, 0]
