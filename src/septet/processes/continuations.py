"""Requests to a Decoding, with the symbols sampled so far.

Shapes: n symbols of a sequence, V vocabulary, N sites.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .filters import Filter


@dataclass(eq=False)
class Continuation:
    """A request to continue `given`, int64 (n,), by at most `length` symbols, sampled by `filter` with the uniform
    random numbers `noise`, (N,).

    `guesses` is the number of symbols per step that speculative decoding proposes by prompt lookup; the output does not
    depend on it. `adjust(scores_V, drawn)` changes scores in place. Sampled symbols are appended to `drawn`, and if
    `alternatives` is given, their probabilities and those of as many of the most likely symbols to `chances`.
    """

    given: Tensor
    noise: Tensor
    filter: Filter
    length: int
    guesses: int = 0
    adjust: Callable[[Tensor, list[int]], None] | None = None
    alternatives: int | None = None
    drawn: list[int] = field(default_factory=list)
    chances: list["Chance"] = field(default_factory=list)
    done: bool = False

    def choose(self, scores_V: Tensor) -> int:
        """Samples the next symbol and appends it to `drawn`."""
        u, scores = self.noise[len(self.drawn) % len(self.noise)], scores_V
        if self.filter.penalises:
            drawn = torch.tensor(self.drawn, dtype=torch.int64)
            scores = self.filter.penalised(scores[None], [self.given], [drawn])[0]
        if self.adjust is not None:
            scores = scores.clone()
            self.adjust(scores, self.drawn)
        symbol = int(self.filter.choose(scores[None], u[None])[0])
        if self.alternatives is not None:
            self.chances.append(Chance.of(scores_V, symbol, self.alternatives))
        self.drawn.append(symbol)
        return symbol


@dataclass(frozen=True)
class Chance:
    """Log-probabilities (nats) of a sampled symbol and of the most likely ones, under the model before any filter."""

    symbol: int
    logarithm: float
    best: list[tuple[int, float]]

    @classmethod
    def of(cls, scores_V: Tensor, symbol: int, count: int) -> "Chance":
        logarithms = scores_V.float().log_softmax(-1)
        best = logarithms.topk(min(count, len(logarithms)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return cls(symbol, float(logarithms[symbol]), list(pairs))
