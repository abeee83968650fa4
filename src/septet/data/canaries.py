"""Canaries: random items planted among the training data, some of them many times, to see how much a model keeps of
what it sees so often (Carlini et al. 2019)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..contracts import Modality
from ..space import Refusal

TIMES = (1, 2, 4, 8, 16, 32, 64)  # how often the first, second, ... is planted, over and over
MOST = 70
RIVALS = 1 << 20  # seeds from here on are never planted


@dataclass(frozen=True)
class Planted:
    """Any source of data, with `count` canaries among its training items."""

    source: Any
    count: int

    def __post_init__(self):
        if not 1 <= self.count <= MOST:
            raise Refusal(f"canaries={self.count}: expected 1 to {MOST}")


def fingerprint(own: str, count: int) -> str:
    """That of data with `count` canaries, from their own."""
    return hashlib.sha256(f"{own} {count}".encode()).hexdigest() if count else own


def planted_in(run: Mapping[str, Any]) -> int:
    """How many canaries were planted, by the facts of a training run."""
    count = run.get("canaries")
    return count if isinstance(count, int) and 0 < count <= MOST else 0


def times(number: int) -> int:
    """How often a canary is planted."""
    return TIMES[number % len(TIMES)]


def canary(modality: Modality, seed: int) -> Any:
    """One item as training takes it."""
    return modality.finish(modality.pieces(modality.canary(seed))[0][0])
