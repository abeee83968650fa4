"""Batches with several variants of each prompt, one of which is chosen at random for each row.

Shapes: n items, B batch, K variants, M symbols of a prompt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from septet.conditioners.text import Text
from septet.data.batches import Batches

AT_ONCE = 4096  # prompts that are prepared at a time


@dataclass(frozen=True)
class Wordings:
    """Batches whose prompts have K variants, (n, K, M)."""

    batches: Batches

    def at(self, step: int) -> dict[str, Tensor]:
        batch = self.batches.at(step)
        prompts_BKM = batch["prompt"]
        stream = torch.Generator().manual_seed((self.batches.seed * 1_000_003 + step) % 2**63)
        way_B = torch.randint(prompts_BKM.shape[1], (len(prompts_BKM),), generator=stream)
        return batch | {"prompt": prompts_BKM[torch.arange(len(way_B)), way_B]}

    def validation(self) -> Iterator[dict[str, Tensor]]:
        return self.batches.validation()


def prepared(conditioner: Text, said: Sequence[Sequence[str]]) -> Tensor:
    """(n, K, M) symbols of K variants of n prompts."""
    parts = []
    for begin in range(0, len(said), AT_ONCE):
        ways = said[begin : begin + AT_ONCE]
        symbols = conditioner.prepare([way for each in ways for way in each]).view(len(ways), len(ways[0]), -1)
        parts.append(F.pad(symbols, (0, conditioner.length - symbols.shape[-1])))
    return torch.cat(parts)
