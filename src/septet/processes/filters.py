"""Sampling of symbols from scores (logits): temperature, truncation and repetition penalties.

Shapes: B batch, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..space import Refusal

BEST = 512  # symbols that are tried first: sorting a vocabulary of 50,000 takes longer than computing the scores


def capped(scores: Tensor, most: float | None) -> Tensor:
    """Soft-caps scores to (-most, most); None leaves them unchanged."""
    return scores if most is None else most * torch.tanh(scores / most)  # Gemma Team 2024


@dataclass(frozen=True)
class Filter:
    """Samples from scores divided by `temperature`, restricted to the `top_k` most likely symbols, the smallest set
    with total probability `top_p` (Holtzman et al. 2020), and symbols with at least `min_p` times the probability of
    the most likely one (Nguyen et al. 2024).

    Penalties are applied first: `repetition_penalty` divides positive scores of symbols in the prompt or output and
    multiplies negative ones (Keskar et al. 2019); `presence_penalty` is subtracted from the scores of symbols in the
    output, `frequency_penalty` once for each occurrence.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0

    def __post_init__(self):
        if not 0 <= self.temperature < 100:
            raise Refusal(f"temperature={self.temperature}: expected 0 (always the most likely) to 100")
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
        """Applies the penalties to scores; `given` and `drawn` are the symbols of each sample, int64 (n,), without
        padding."""
        scores_BV = scores_BV.clone()
        for scores_V, *both in zip(scores_BV, given, drawn, strict=True):
            before, after = (symbols.to(scores_V.device) for symbols in both)
            seen, (new, times) = torch.cat([before, after]).unique(), after.unique(return_counts=True)
            old = scores_V[seen]
            scores_V[seen] = torch.where(old > 0, old / self.repetition_penalty, old * self.repetition_penalty)
            scores_V[new] -= self.presence_penalty + self.frequency_penalty * times
        return scores_BV

    def choose(self, scores_BV: Tensor, uniform_B: Tensor) -> Tensor:
        """Samples one symbol per row by inverse transform sampling with the uniform random numbers `uniform_B`."""
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
        """Samples one symbol per row from `order`, sorted by probability. Unless `order` is the `whole` vocabulary,
        None if it may not contain all symbols that can be sampled."""
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
        elif not whole and not bool((chances[:, -1] == 0).all()):  # symbols beyond these may be allowed, too
            return None
        place = torch.searchsorted(heights, aim * total, right=True)
        return order.gather(1, place.clamp(max=order.shape[1] - 1))[:, 0]
