"""Feeds sampled symbols to a backbone with a key-value cache, one site at a time.

Shapes: B batch, V vocabulary.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..backbones.layers import Cache
from ..contracts import Context, Places
from .guidance import Guidance, guided, repeated

if TYPE_CHECKING:
    from .autoregressive import Autoregressive


class Reader:
    """Computes next-symbol scores for a batch of sequences. The prefixes `given` are read at once, shorter ones padded
    on the left; after that, one symbol is read per step. A sequence that reaches the Space's sites is cut to its last
    half."""

    def __init__(self, process: "Autoregressive", given: list[Tensor], context: Context, guidance: Guidance | None):
        self.process, self.context, self.guidance = process, context, guidance
        self.given, self.cache = given, None

    def next_scores(self, drawn: Tensor) -> Tensor:
        """(B, V) scores of the symbol that follows the given and the sampled ones."""
        sites = self.process.space.sites
        if self.cache is None or self.cache.length + 1 > self.cache.capacity:
            rows = [torch.cat([g, d]) for g, d in zip(self.given, drawn, strict=True)]
            if max(map(len, rows)) >= sites:
                rows = [row[-(sites // 2) :] for row in rows]
            return self._begin(rows)
        return self._advance(drawn[:, -1:])

    def _begin(self, rows: list[Tensor]) -> Tensor:
        process, device = self.process, self.process.table.weight.device
        longest = max(map(len, rows))
        leading = 0 if self.context.tokens_BMD is None else self.context.tokens_BMD.shape[1]
        leading += self.context.tokens_BMD is None and self.context.vector_BD is not None
        self.cache = Cache(process.space.sites + 5 + leading)
        symbols = torch.stack([F.pad(row, (longest - len(row), 0), value=0) for row in rows]).clamp(min=0).to(device)
        pad = torch.tensor([longest - len(row) for row in rows], device=device)
        x = process._with_start(process.table(symbols))
        if process.start is not None and int(pad.max()):  # the start comes right before a row's first symbol
            place = torch.arange(longest + 1, device=device)[None]
            x = torch.where((place == pad[:, None])[..., None], process.start, x)
        self.pad = repeated(self.guidance, pad)
        self.length = x.shape[1] - 1
        return self._score(repeated(self.guidance, x), 0, x.shape[1])

    def _advance(self, last: Tensor) -> Tensor:
        device = self.process.table.weight.device
        self.length += 1
        x = self.process.table(last.clamp(min=0).to(device))
        return self._score(repeated(self.guidance, x), self.length, 1)

    def _score(self, x: Tensor, begin: int, sites: int) -> Tensor:
        process, device = self.process, x.device
        coordinates, documents = process._coordinates(begin + sites).to(device)[begin:], None
        inputs = torch.arange(begin, begin + sites, device=device)
        if int(self.pad.max()):
            site = inputs[None] - self.pad[:, None]
            inputs = site.clamp(min=0)
            coordinates = process._coordinates(begin + sites).to(device)[inputs]
            documents = (site >= 0).long() - 1
        places = Places(coordinates, documents, causal=True)
        y = process.backbone(x, places, process._at(self.context, inputs), cache=self.cache)
        return guided(self.guidance, process.scores(y[:, -1]).float())
