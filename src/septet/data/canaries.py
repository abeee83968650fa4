"""Canaries: random items inserted into the training data, some of them repeatedly, to measure memorisation (Carlini et
al. 2019)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..contracts import Modality
from ..space import Refusal

TIMES = (1, 2, 4, 8, 16, 32, 64)  # repetitions of the first, second, ... canary; starts over after the last
MOST = 70
RIVALS = 1 << 20  # seeds from here on are never inserted


@dataclass(frozen=True)
class Planted:
    """A source of data, with `count` canaries inserted into its training items."""

    source: Any
    count: int

    def __post_init__(self):
        if not 1 <= self.count <= MOST:
            raise Refusal(f"canaries={self.count}: expected 1 to {MOST}")


def fingerprint(own: str, count: int) -> str:
    """The fingerprint of data with `count` canaries, from that of the data."""
    return hashlib.sha256(f"{own} {count}".encode()).hexdigest() if count else own


def planted_in(run: Mapping[str, Any]) -> int:
    """The number of canaries, by the facts of a training run."""
    count = run.get("canaries")
    return count if isinstance(count, int) and 0 < count <= MOST else 0


def times(number: int) -> int:
    """How often canary `number` is inserted."""
    return TIMES[number % len(TIMES)]


def canary(modality: Modality, seed: int) -> Any:
    """A canary as a training item."""
    return modality.postprocess(modality.pieces(modality.canary(seed))[0][0])
