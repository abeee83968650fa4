"""Which symbols a draw may take, and which it takes.

Shapes: B batch, V symbols.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..space import Refusal

BEST = 512  # symbols that are looked at first, of many: sorting all of 50,000 takes longer than computing their scores


def capped(scores: Tensor, most: float | None) -> Tensor:
    """Scores between -most and most, small ones as they are; all as they are for None."""
    return scores if most is None else most * torch.tanh(scores / most)  # Gemma Team 2024


@dataclass(frozen=True)
class Filter:
    """Which symbols a draw may take: the `top_k` most likely, the smallest set of mass `top_p` (Holtzman et al. 2020),
    those at least `min_p` times as likely as the best (Nguyen et al. 2024), after dividing scores by `temperature`.

    Before that, `repetition_penalty` makes the scores of what was given or drawn so many times worse (Keskar et al.
    2019); `presence_penalty` is taken from the score of what was drawn, `frequency_penalty` once for each time."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0

    def __post_init__(self):
        if not 0 <= self.temperature < 100:
            raise Refusal(f"temperature={self.temperature}: expected 0 (always the likeliest) to 100")
        for name, value in (("top_p", self.top_p), ("min_p", self.min_p)):
            if value is not None and not 0 < value <= 1:
                raise Refusal(f"{name}={value}: expected a share above 0 and at most 1")
        if self.top_k is not None and self.top_k < 1:
            raise Refusal(f"top_k={self.top_k}: expected at least 1")
        if not 0 < self.repetition_penalty < 100:
            raise Refusal(f"repetition_penalty={self.repetition_penalty}: expected above 0 (1 for none) and below 100")
        for name in ("presence_penalty", "frequency_penalty"):
            if not abs(getattr(self, name)) <= 100:
                raise Refusal(f"{name}={getattr(self, name)}: expected -100 to 100, 0 for none")

    @property
    def penalises(self) -> bool:
        return (self.repetition_penalty, self.presence_penalty, self.frequency_penalty) != (1, 0, 0)

    def penalised(self, scores_BV: Tensor, given: Sequence[Tensor], drawn: Sequence[Tensor]) -> Tensor:
        """The scores after the penalties for the symbols of each sample, int64 (n,) and not negative."""
        scores_BV = scores_BV.clone()
        for scores_V, *both in zip(scores_BV, given, drawn, strict=True):
            before, after = (symbols.to(scores_V.device) for symbols in both)
            said, (new, times) = torch.cat([before, after]).unique(), after.unique(return_counts=True)
            old = scores_V[said]
            scores_V[said] = torch.where(old > 0, old / self.repetition_penalty, old * self.repetition_penalty)
            scores_V[new] -= self.presence_penalty + self.frequency_penalty * times
        return scores_BV

    def choose(self, scores_BV: Tensor, uniform_B: Tensor) -> Tensor:
        """One symbol a sample, by the inverse of the distribution function at `uniform_B`."""
        if self.temperature == 0:
            return scores_BV.argmax(-1)
        scores_BV, found = scores_BV.double() / self.temperature, None
        if scores_BV.shape[1] > 4 * BEST:
            best, order = scores_BV.topk(BEST)
            found = self._chosen((best - scores_BV.logsumexp(-1, keepdim=True)).exp(), order, uniform_B, whole=False)
        if found is None:
            found = self._chosen(*scores_BV.softmax(-1).sort(-1, descending=True), uniform_B, whole=True)
        assert found is not None
        return found

    def _chosen(self, chances: Tensor, order: Tensor, uniform_B: Tensor, whole: bool) -> Tensor | None:
        """One symbol a sample out of `order`, the likeliest first; None where these, not the `whole`, do not tell."""
        if self.top_k is not None:
            chances[:, self.top_k :] = 0
        if self.min_p is not None:
            chances = chances * (chances >= self.min_p * chances[:, :1])
        if self.top_p is not None:
            chances = chances * (chances.cumsum(-1) - chances < self.top_p)
        heights = chances.cumsum(-1)
        total, aim = heights[:, -1:], uniform_B.double()[:, None]
        if not whole and (self.top_k, self.top_p, self.min_p) == (None, None, None):
            if not bool((aim < total).all()):
                return None
            total = torch.ones_like(total)
        elif not whole and not bool((chances[:, -1] == 0).all()):  # what is allowed goes on further down
            return None
        place = torch.searchsorted(heights, aim * total, right=True)
        return order.gather(1, place.clamp(max=order.shape[1] - 1))[:, 0]
