"""Masked generation (BERT, masked diffusion): symbols are sampled in any order, conditioned on all that are known so
far.

Shapes: B batch, N sites, D width, V classes: the symbols, and padding if the Space has an "end".
"""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..contracts import Backbone, Context, Places, Process, State
from ..space import PADDING, Known, Refusal, Space
from .filters import Filter, capped
from .guidance import Guidance, doubled, guided, repeated
from .regions import random_regions
from .streams import uniform


class Masked(Process):
    """A bidirectional backbone with an embedding table and an output head.

    In training, a share u, uniform in (0, 1), of a row's sites is masked (`schedule` "uniform", Austin et al. 2021), or
    cos(pi u / 2) of them ("cosine", Chang et al. 2022). `fill` is the share of rows in which the visible sites are a
    region instead. `softcap` bounds scores by c tanh(z / c).

    If the Space has the marker "end", rows are padded to all sites, and padding is one more class that is predicted, so
    that samples have variable length; its loss is included in the nats per symbol. Otherwise, padding is masked out of
    attention and excluded from the loss.
    """

    supports, noise_distribution = frozenset({"mask", "prefix"}), "uniform"

    def __init__(
        self,
        space: Space,
        backbone: Backbone,
        fill: float = 0.0,
        softcap: float | None = 15.0,
        schedule: str = "cosine",
    ):
        super().__init__()
        if space.symbols is None:
            raise Refusal(f"Masked: needs symbols, but {space} holds real channels; use a quantised codec or a flow")
        if schedule not in ("cosine", "uniform"):
            raise Refusal(f"schedule={schedule!r}: expected 'cosine' or 'uniform'")
        self.space, self.backbone, self.fill, self.softcap, self.schedule = space, backbone, fill, softcap, schedule
        self.end = space.markers.get("end")
        self.classes = space.symbols + (self.end is not None)
        self.table = nn.Embedding(self.classes + 1, backbone.width)  # the last row is the mask
        self.head = nn.Linear(backbone.width, self.classes, bias=False)
        nn.init.normal_(self.table.weight, std=0.5)
        nn.init.zeros_(self.head.weight)

    @classmethod
    def tiny(cls) -> "Masked":
        from ..backbones.transformer import Transformer

        return cls(Space((16,), symbols=6, markers={"end": 5}), Transformer(width=32, layers=2, heads=2), fill=0.5)

    def predict(self, latents: Tensor, where_BN: Tensor, context: Context) -> Tensor:
        """(B, N, V) scores of the classes at every site; only the sites of `latents` where `where_BN` is true are
        visible."""
        return self._scores(*self._classes(latents), where_BN, context)

    def states(self, latents: Tensor, context: Context) -> Tensor:
        """(B, N, D) hidden states of the backbone, with no site masked."""
        classes, documents = self._classes(latents)
        seen = torch.ones_like(classes, dtype=torch.bool)
        return self._read(classes, documents, seen, context)[:, : latents.shape[1]]

    def _classes(self, latents: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, N) class of each site; and documents (see Places) that mask padding, or None if there is none to mask."""
        if self.end is None:
            valid = latents != PADDING
            return latents.clamp(min=0), None if bool(valid.all()) else valid.long() - 1
        full = F.pad(latents, (0, self.space.sites - latents.shape[1]), value=PADDING)
        return torch.where(full == PADDING, self.classes - 1, full), None

    def _read(self, classes: Tensor, documents: Tensor | None, shown: Tensor, context: Context) -> Tensor:
        x = self.table(torch.where(shown, classes, self.classes))
        coordinates = self.space.coordinates(classes.shape[1] if len(self.space.shape) == 1 else None).to(x.device)
        return self.backbone(x, Places(coordinates, documents), context.at(torch.arange(classes.shape[1])))

    def _scores(self, classes: Tensor, documents: Tensor | None, shown: Tensor, context: Context) -> Tensor:
        return capped(self.head(self._read(classes, documents, shown, context)).float(), self.softcap)

    def _nats(self, classes: Tensor, documents: Tensor | None, hidden: Tensor, context: Context) -> Tensor:
        """(B, N) cross-entropy in nats at the masked sites, 0 elsewhere."""
        scores = self._scores(classes, documents, ~hidden, context)
        return F.cross_entropy(scores.mT, torch.where(hidden, classes, PADDING), ignore_index=PADDING, reduction="none")

    def _hidden(self, share_B: Tensor, maskable_BN: Tensor) -> tuple[Tensor, Tensor]:
        """Masks ceil(share n) random sites, at least one, of each row's n maskable ones; returns mask and counts."""
        count = (share_B * maskable_BN.sum(1)).ceil().clamp(min=1)
        order = torch.rand(maskable_BN.shape).to(maskable_BN.device).masked_fill(~maskable_BN, 2.0)
        place = order.argsort(1).argsort(1)
        return (place < count[:, None]) & maskable_BN, count

    def loss(self, latents: Tensor, context: Context, player: str, progress: float):
        classes, documents = self._classes(latents)
        maskable = torch.ones_like(classes, dtype=torch.bool) if documents is None else documents >= 0
        share = _stratified(len(latents)).to(latents.device)
        share = share if self.schedule == "uniform" else torch.cos(share * math.pi / 2)  # Chang et al. 2022, sec. 3.3
        hidden, _ = self._hidden(share, maskable)
        if self.fill and self.training and classes.shape[1] == self.space.sites:
            chosen = torch.rand(len(latents), 1) < self.fill
            regions = ~random_regions(self.space, len(latents)).to(latents.device)
            hidden = torch.where(chosen.to(latents.device), regions & maskable, hidden)
        nats = self._nats(classes, documents, hidden, context)
        return nats.sum() / self._symbols(classes, hidden).clamp(min=1), {}

    def _symbols(self, classes: Tensor, where: Tensor) -> Tensor:
        return (where if self.end is None else where & (classes < self.classes - 1)).sum()

    def validation(self, latents: Tensor, context: Context) -> dict[str, Tensor]:
        """An upper bound on the nats per symbol, with numbers of masked sites stratified over the batch."""
        classes, documents = self._classes(latents)
        maskable = torch.ones_like(classes, dtype=torch.bool) if documents is None else documents >= 0
        hidden, count = self._hidden(_stratified(len(latents)).to(latents.device), maskable)
        nats = self._nats(classes, documents, hidden, context).sum(1)
        bound = (nats * maskable.sum(1) / count).sum()  # -log p <= E_k n / k sum over k hidden, Uria et al. 2014, eq. 8
        symbols = self._symbols(classes, maskable)
        return {"loss": bound / symbols.clamp(min=1), "weight": symbols}

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """(B, N, 2) uniform numbers: for the order of the sites, and for the symbol of each."""
        return uniform(seeds, (self.space.sites, 2))

    @torch.no_grad()
    def draws(
        self,
        noise: Tensor,
        context: Context,
        known: Known | None = None,
        guidance: Guidance | None = None,
        steps: int | None = None,
        order: str = "confidence",
        temperature: float = 1.0,
        gumbel: float = 4.5,
    ) -> Iterator[State]:
        """`steps` defaults to 12, at most the number of sites. `order` "random" with one site per step (steps = sites)
        samples from the learned distribution exactly. "confidence" needs few steps: each step keeps the most likely of
        the sampled symbols, ranked by log-probability plus Gumbel noise with a scale that decreases from `gumbel` to 0
        (Chang et al. 2022)."""
        self.check_known(known)
        sites, filter_ = self.space.sites, Filter(temperature)
        if order not in ("confidence", "random"):
            raise Refusal(f"order={order!r}: expected 'confidence' or 'random'")
        steps = min(12, sites) if steps is None else steps
        if not 1 <= steps <= sites:
            raise Refusal(f"steps={steps}: expected 1 to {sites}, the number of sites")
        noise, context = noise.to(self.head.weight.device), doubled(guidance, context)
        classes, shown = self._begin(known, noise)
        unknown, left = (~shown).sum(1), (~shown).sum(1)
        for step in range(steps):
            drawn, chance = classes.clone(), torch.zeros_like(noise[..., 0], dtype=torch.float64)
            scores = self._scores(repeated(guidance, classes), None, repeated(guidance, shown), context)
            scores = guided(guidance, scores).masked_fill(self._forbidden(classes, shown), -torch.inf)[~shown]
            drawn[~shown] = filter_.choose(scores, noise[..., 1][~shown])
            chance[~shown] = scores.double().log_softmax(-1).gather(1, drawn[~shown][:, None])[:, 0]
            ahead = (step + 1) / steps
            rank = _confidence(chance, noise[..., 0], gumbel * (1 - ahead)) if order == "confidence" else noise[..., 0]
            left = _left(unknown, step + 1, steps, left if order == "confidence" else None)
            place = rank.masked_fill(shown, torch.inf).argsort(1, descending=True).argsort(1)
            shown = place < (sites - left)[:, None]
            classes = torch.where(shown, drawn, classes)
            yield State(step, steps, self._latents(classes, shown), self._latents(drawn, torch.ones_like(shown)))
            if not int(left.max()):
                return

    def _begin(self, known: Known | None, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) class of each site, arbitrary where it is unknown; and (B, N) whether it is known."""
        B, sites, device = len(noise), self.space.sites, noise.device
        values, shown = torch.full((B, sites), PADDING), torch.zeros(B, sites, dtype=torch.bool)
        if known is not None and known.spans is not None:
            for i, (prefix,) in enumerate(known.spans):
                if len(prefix) > sites:
                    raise Refusal(f"{len(prefix)} known tokens: the model generates at most {sites}; give fewer")
                values[i, : len(prefix)], shown[i, : len(prefix)] = prefix, True
        elif known is not None and known.values is not None and known.where_BN is not None:
            length = known.values.shape[1]
            values[:, :length], shown[:, :length] = known.values.cpu(), known.where_BN.cpu()
        if self.end is None and bool((shown & (values == PADDING)).any()):
            raise Refusal("Known holds padding: this model generates every site; mark only tokens as known")
        padding = 0 if self.end is None else self.classes - 1
        return torch.where(values == PADDING, padding, values).to(device), shown.to(device)

    def _forbidden(self, classes: Tensor, shown: Tensor) -> Tensor:
        """(B, N, V), true for classes that are impossible at a site: an end or padding before a known symbol, anything
        but padding after a known end."""
        forbidden = torch.zeros(*classes.shape, self.classes, dtype=torch.bool, device=classes.device)
        if self.end is not None:
            symbol = (shown & (classes < self.classes - 1)).long()
            over = (shown & ((classes == self.end) | (classes == self.classes - 1))).long()
            before_symbol, after_end = symbol.flip(1).cumsum(1).flip(1) > symbol, over.cumsum(1) > over
            forbidden[..., : self.classes - 1] = (after_end & ~before_symbol)[..., None]
            forbidden[..., [self.end, self.classes - 1]] |= before_symbol[..., None]
        return forbidden

    def _latents(self, classes: Tensor, shown: Tensor) -> Tensor:
        """The latents at the known sites; PADDING elsewhere and after the first end or padding."""
        latents = torch.where(shown, classes, PADDING)
        if self.end is None:
            return latents
        ends = shown & ((classes == self.end) | (classes == self.classes - 1))
        over = (ends.long().cumsum(1) - (ends & (classes == self.end)).long() > 0) | (classes == self.classes - 1)
        return torch.where(over, PADDING, latents)


def _stratified(batch: int) -> Tensor:
    """(B,) stratified random numbers in (0, 1): one in each of B equal intervals, in random order."""
    return (torch.randperm(batch) + 1 - torch.rand(batch)) / batch


def _confidence(chance: Tensor, uniform_BN: Tensor, gumbel: float) -> Tensor:
    noise = -torch.log(-torch.log(uniform_BN.double().clamp(1e-12, 1 - 1e-7)))  # Gumbel 1954
    return chance + gumbel * noise


def _left(unknown: Tensor, step: int, steps: int, before: Tensor | None) -> Tensor:
    """(B,) number of sites that stay masked after `step`: decreasing linearly, or with `before`, the previous number,
    by the cosine schedule and by at least one."""
    if before is None:
        return unknown * (steps - step) // steps
    cosine = (unknown * math.cos(math.pi / 2 * step / steps) + 1e-6).long()  # Chang et al. 2022, sec. 3.3
    return torch.minimum(cosine, before - 1).clamp(min=0)
