"""Autoregressive generation of grids with given sites: these come first in the sequence, then all others, each part in
row-major order.

Shapes: B batch, N sites, D width, V vocabulary.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.layers import Cache
from ..contracts import Backbone, Context, Places, State
from ..space import PADDING, Known, Refusal, Space
from .autoregressive import Autoregressive
from .filters import Filter
from .guidance import Guidance, doubled, guided, repeated
from .regions import random_regions


class Permuted(Autoregressive):
    """An autoregressive process on a grid that can complete any given region: in a share `fill` of the training rows, a
    random region comes first (permuted orders, Yang et al. 2019). Rotary positions encode the site that an input is to
    predict, and an embedding table the site of its own symbol (target-aware positions, Yu et al. 2024)."""

    def __init__(self, space: Space, backbone: Backbone, fill: float = 0.25, softcap: float | None = 15.0):
        super().__init__(space, backbone, softcap=softcap)
        if space.markers:
            raise Refusal(f"Permuted: needs a grid without markers, but {space} has those of sequences of any length")
        self.fill, self.supports = fill, frozenset({"mask"}) if fill else frozenset()
        self.place = nn.Embedding(space.sites, backbone.width)
        nn.init.zeros_(self.place.weight)

    @classmethod
    def tiny(cls) -> "Permuted":
        from ..backbones.transformer import Transformer

        return cls(Space((4, 4), symbols=6), Transformer(width=32, layers=2, heads=2), fill=0.5)

    def loss(self, latents: Tensor, context: Context, player: str, progress: float):
        first = torch.zeros(latents.shape, dtype=torch.bool)
        if self.fill and self.training:
            first = random_regions(self.space, len(latents)) & (torch.rand(len(latents), 1) < self.fill)
        order = _known_first(first.to(latents.device))
        symbols = latents.gather(1, order)
        scores = self._score(symbols, order, context)
        return F.cross_entropy(scores.flatten(0, 1).float(), symbols.flatten()), {}

    def predict(self, latents_BN: Tensor, context: Context) -> Tensor:
        order = torch.arange(latents_BN.shape[1], device=latents_BN.device)
        return self._score(latents_BN, order.expand(latents_BN.shape), context)

    def _score(self, symbols_BN: Tensor, order_BN: Tensor, context: Context) -> Tensor:
        """(B, N, V) scores of the symbols at the sites `order_BN`, each conditioned on those before it."""
        entered = self._entered(symbols_BN[:, :-1], order_BN[:, :-1])
        x = self._with_start(entered)
        return self.scores(self.backbone(x, self._places(order_BN), context.at(order_BN)))

    def _entered(self, symbols_BN: Tensor, sites_BN: Tensor) -> Tensor:
        return self.table(symbols_BN) + self.place(sites_BN)

    def _places(self, sites_BN: Tensor) -> Places:
        return Places(self.space.coordinates().to(sites_BN.device)[sites_BN], causal=True)

    @torch.no_grad()
    def draws(
        self,
        noise: Tensor,
        context: Context,
        known: Known | None = None,
        guidance: Guidance | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
    ) -> Iterator[State]:
        self.check_known(known)
        filter_, (B, N), device = Filter(temperature, top_k, top_p, min_p), noise.shape, self.table.weight.device
        values, shown = torch.full((B, N), PADDING), torch.zeros(B, N, dtype=torch.bool)
        if known is not None and known.values is not None and known.where_BN is not None:
            values, shown = torch.where(known.where_BN, known.values, PADDING).cpu(), known.where_BN.cpu()
        if bool((values[shown] < 0).any()):
            raise Refusal("Known holds padding: this model generates every site; mark only tokens as known")
        order, count = _known_first(shown), shown.sum(1)
        symbols, uniform = values.gather(1, order), noise.cpu().gather(1, order)
        begin, context = min(int(count.min()), N - 1), doubled(guidance, context)
        leading = 1 if context.tokens_BMD is None else context.tokens_BMD.shape[1]
        cache, read = Cache(N + leading), 0
        for site in range(begin, N):
            new = slice(max(read - 1, 0), site)
            x = self._entered(symbols[:, new].to(device), order[:, new].to(device))
            x = self._with_start(x) if read == 0 else x
            sites = repeated(guidance, order[:, read : site + 1].to(device))
            y = self.backbone(repeated(guidance, x), self._places(sites), context.at(sites), cache=cache)
            drawn = filter_.choose(guided(guidance, self.scores(y[:, -1]).float()), uniform[:, site].to(device)).cpu()
            symbols[:, site] = torch.where(count > site, symbols[:, site], drawn)
            read = site + 1
            latents = torch.full((B, N), PADDING).scatter(1, order, symbols)
            yield State(site - begin, N - begin, latents, latents)


def _known_first(shown_BN: Tensor) -> Tensor:
    """(B, N) sites in the order of generation, given ones first."""
    return (~shown_BN).long().argsort(dim=1, stable=True)
