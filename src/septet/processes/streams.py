"""Random numbers for sampling: one stream per sample, independent of the batch.

Shapes: B batch.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..space import Refusal

SEEDS = 2**63


def checked_seed(seed: int) -> int:
    """Returns the seed. Raises Refusal if it is not an integer in range."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < SEEDS:
        raise Refusal(f"seed={seed}: expected a whole number from 0 to {SEEDS - 1:,}")
    return seed


def _stream(seed: int, step: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed % 2**64, step], dtype=np.uint64)))


def normal(seeds: Sequence[int], shape: tuple[int, ...], step: int = 0) -> Tensor:
    """(B, *shape) standard normal numbers; row i depends on seeds[i] only."""
    return torch.from_numpy(np.stack([_stream(s, step).standard_normal(shape, dtype=np.float32) for s in seeds]))


def uniform(seeds: Sequence[int], shape: tuple[int, ...], step: int = 0) -> Tensor:
    """(B, *shape) numbers uniform in [0, 1); row i depends on seeds[i] only."""
    return torch.from_numpy(np.stack([_stream(s, step).random(shape, dtype=np.float32) for s in seeds]))
