"""What is asked of a Decoding, and what it has drawn so far.

Shapes: n symbols, V symbols, N sites.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .filters import Filter


@dataclass(eq=False)
class Continuation:
    """Go on from `given`, int64 (n,), by at most `length` symbols, chosen by `filter` at the uniform numbers `noise`,
    (N,). With `guesses`, so many symbols are guessed from what stood in the text before, and kept as far as they are
    what would have been chosen anyway: the same text, sooner. `adjust` changes the scores, (V,), in place, knowing what
    has been drawn. `drawn` fills up, and with `alternatives` so does `chances`."""

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
        """The next symbol; it is added to what was drawn."""
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
    """How likely a drawn symbol was, as the model has it before any filter, and the likeliest ones: in nats."""

    symbol: int
    logarithm: float
    best: list[tuple[int, float]]

    @classmethod
    def of(cls, scores_V: Tensor, symbol: int, count: int) -> "Chance":
        logarithms = scores_V.float().log_softmax(-1)
        best = logarithms.topk(min(count, len(logarithms)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return cls(symbol, float(logarithms[symbol]), list(pairs))
