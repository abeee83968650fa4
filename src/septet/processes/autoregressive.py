"""Autoregressive generation (GPT): one symbol after another, each conditioned on all before it.

Shapes: B batch, N sites, D width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..contracts import Backbone, Context, Places, Process, State
from ..space import PADDING, Known, Refusal, Space, inputs
from .filters import Filter, capped
from .gaps import arrange, assembled, closed
from .guidance import Guidance, doubled
from .reader import Reader
from .settings import checked_strength
from .streams import uniform


class Autoregressive(Process):
    """A causal backbone with an embedding table and an output head.

    `fill` is the share of training rows that are rearranged for filling gaps (fill in the middle, Bavarian et al.
    2022), half as prefix-suffix-middle, half as suffix-prefix-middle; it needs the markers "prefix", "suffix", "middle"
    and "end" in the Space. `filled` means that data come rearranged already. `softcap` bounds scores by c tanh(z / c).
    With `start`, a learned embedding precedes the first symbol; without it, the first symbol is not predicted, and
    samples without a prompt begin after an "end". With `tied`, the head shares the table's weights.
    """

    noise_distribution = "uniform"

    def __init__(
        self,
        space: Space,
        backbone: Backbone,
        fill: float = 0.0,
        softcap: float | None = 15.0,
        start: bool = True,
        tied: bool = False,
        filled: bool = False,
    ):
        super().__init__()
        if space.symbols is None:
            raise Refusal(
                f"{type(self).__name__}: needs symbols, {space} holds real channels; use a quantised codec or a flow"
            )
        missing = {"prefix", "suffix", "middle", "end"} - set(space.markers)
        if (fill or filled) and missing:
            raise Refusal(f"fill={fill}, filled={filled}: the codec lacks the markers {', '.join(sorted(missing))}")
        self.space, self.backbone, self.fill, self.softcap = space, backbone, fill, softcap
        self.filled = filled
        self.supports = frozenset({"prefix", "spans"}) if fill or filled else frozenset({"prefix"})
        self.silent = [i for name, i in space.markers.items() if name != "end"]  # markers that are never sampled
        self.start = nn.Parameter(torch.randn(backbone.width) * 0.5) if start else None
        self.table = nn.Embedding(space.symbols, backbone.width)
        self.head = nn.Linear(backbone.width, space.symbols, bias=False)
        nn.init.normal_(self.table.weight, std=0.02 if tied else 0.5)  # small initial scores of a tied head
        nn.init.zeros_(self.head.weight)
        if tied:
            self.head.weight = self.table.weight

    @classmethod
    def tiny(cls) -> "Autoregressive":
        from ..backbones.transformer import Transformer

        markers = {"end": 5, "prefix": 6, "suffix": 7, "middle": 8}
        return cls(Space((16,), symbols=9, markers=markers), Transformer(width=32, layers=2, heads=2), fill=0.5)

    def scores(self, x_BND: Tensor) -> Tensor:
        return capped(self.head(x_BND), self.softcap)

    def predict(self, latents_BN: Tensor, context: Context) -> Tensor:
        """(B, N, V) scores of each symbol, conditioned on those before it; without a start, zeros for the first."""
        x = self._with_start(self.table(inputs(latents_BN[:, :-1])))
        coordinates = self._coordinates(x.shape[1]).to(x.device)
        scores = self.scores(self.backbone(x, Places(coordinates, causal=True), self._at(context, x.shape[1])))
        return F.pad(scores, (0, 0, latents_BN.shape[1] - scores.shape[1], 0))

    def states(self, latents: Tensor, context: Context) -> Tensor:
        """(B, N, D) hidden states of the backbone at each symbol."""
        x = self._with_start(self.table(latents.clamp(min=0)))
        coordinates = self._coordinates(x.shape[1]).to(x.device)
        y = self.backbone(x, Places(coordinates, causal=True), self._at(context, x.shape[1]))
        return y[:, x.shape[1] - latents.shape[1] :]

    def _at(self, context: Context, inputs: int | Tensor) -> Context:
        """The context of the first inputs, or of those at some indices: aligned with the symbol that each predicts."""
        if context.aligned_BND is None:
            return context
        if self.fill or self.filled:
            raise Refusal(
                "content aligned with tokens: not supported by models that fill gaps, which reorder tokens; use fill=0"
            )
        places = torch.arange(inputs) if isinstance(inputs, int) else inputs
        return context.at((places + (self.start is None)).clamp(max=context.aligned_BND.shape[1] - 1))

    def _with_start(self, entered_BND: Tensor) -> Tensor:
        """The backbone's input: the start embedding, if there is one, then those of the symbols."""
        if self.start is None:
            return entered_BND
        return torch.cat([self.start.expand(len(entered_BND), 1, -1).to(entered_BND.dtype), entered_BND], 1)

    def _targets(self, latents: Tensor) -> Tensor:
        """The symbols to predict; PADDING in place of those that are excluded from the loss."""
        latents = latents.clamp(min=PADDING)
        return latents if self.start is not None else F.pad(latents[:, 1:], (1, 0), value=PADDING)

    def _coordinates(self, sites: int) -> Tensor:
        """(N, A) coordinates of the inputs: those of the symbol that each predicts."""
        if len(self.space.shape) == 1:
            return torch.arange(sites, dtype=torch.float32)[:, None]
        return self.space.coordinates()[:sites]

    def loss(self, latents: Tensor, context: Context, player: str, progress: float):
        if self.fill and self.training:
            latents = self._refill(latents)
        return self._mean(latents, context)[0], {}

    def validation(self, latents: Tensor, context: Context) -> dict[str, Tensor]:
        loss, count = self._mean(latents, context)
        return {"loss": loss, "weight": count}

    def _mean(self, latents: Tensor, context: Context) -> tuple[Tensor, Tensor]:
        """The mean loss in nats over the symbols to predict, 0 if there are none; and their number."""
        scores, targets = self.predict(latents, context), self._targets(latents)
        total = F.cross_entropy(scores.flatten(0, 1).float(), targets.flatten(), ignore_index=PADDING, reduction="sum")
        count = (targets != PADDING).sum()
        return total / count.clamp(min=1), count

    def likelihood(self, latents: Tensor, context: Context) -> Tensor:
        """(B, N) nats of each symbol, 0 where it is excluded from the loss."""
        scores = self.predict(latents, context).float()
        return F.cross_entropy(scores.mT, self._targets(latents), ignore_index=PADDING, reduction="none")

    def _refill(self, latents: Tensor) -> Tensor:
        """Rearranges some rows to prefix-suffix-middle or suffix-prefix-middle, cut at random positions; rows are
        truncated to the length of the batch plus the four markers."""
        mark, rows, end = self.space.markers, [], self.space.markers["end"]
        chosen = (torch.rand(len(latents), 4)).tolist()
        for row, (apply, order, cut, other) in zip(latents, chosen, strict=True):
            body = row[(row != PADDING) & (row != end)]
            if apply >= self.fill or len(body) < 2:
                rows.append(row)
                continue
            a, b = sorted((int(cut * (len(body) + 1)), int(other * (len(body) + 1))))
            rows.append(arrange(body[:a], body[b:], body[a:b], mark, suffix_first=order < 0.5))
        longest = min(max(map(len, rows)), latents.shape[1] + 4)
        out = latents.new_full((len(rows), longest), PADDING)
        for i, row in enumerate(rows):
            out[i, : min(len(row), longest)] = row[:longest]
        return out

    def varied(self, latents: Tensor, strength: float) -> dict[str, Any]:
        """Keeps the beginning of each sequence: all symbols but the last share `strength`."""
        if len(self.space.shape) > 1:
            return super().varied(latents, strength)
        kept = 1 - checked_strength(strength)
        rows = [row[(row != PADDING) & (row != self.space.markers.get("end", PADDING))].cpu() for row in latents]
        return {"known": Known(spans=tuple((row[: round(len(row) * kept)],) for row in rows))}

    def noise(self, seeds: Sequence[int]) -> Tensor:
        return uniform(seeds, (self.space.sites,))

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
        length: int | None = None,
        repetition_penalty: float = 1.0,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
    ) -> Iterator[State]:
        """`length` is the most new symbols per gap; the other settings are those of Filter. A sequence that exceeds the
        Space's sites is continued from its last half.

        Gaps are filled from left to right, each conditioned on all that is known or was sampled before; later gaps are
        treated as empty. Each may take an equal share of the free sites."""
        self.check_known(known)
        penalties = (repetition_penalty, presence_penalty, frequency_penalty)
        filter_, (B, N) = Filter(temperature, top_k, top_p, min_p, *penalties), noise.shape
        spans_B = [(noise.new_zeros(0).long(),)] * B if known is None or known.spans is None else list(known.spans)
        gaps = max(1, max(map(len, spans_B)) - 1)
        given = self._given(spans_B)
        most = length or (self.space.sites - max(map(len, given))) // gaps
        if most < 1:
            given_most = f"{max(map(len, given))} known tokens" + (f" and {gaps} gaps" if gaps > 1 else "")
            raise Refusal(f"{given_most}: the model generates at most {self.space.sites}; give fewer")
        if context.aligned_BND is not None and gaps * most > self.space.sites - max(map(len, given)):
            raise Refusal(f"length={most}: content is aligned with {self.space.sites} tokens; choose a smaller length")
        context, running, step = doubled(guidance, context), torch.ones(B, dtype=torch.bool), 0
        for gap in range(gaps):
            place = torch.arange(gap * most, (gap + 1) * most)
            u = torch.where(place < N, noise[:, place % N], noise[:, place % N].mul(997).frac())
            reader = Reader(self, given, context, guidance)
            for drawn in self._symbols(reader, u, running, filter_):
                latents = drawn if known is None else assembled(spans_B, drawn, self.space)
                yield State(step, gaps * most, latents, latents)
                step += 1
            spans_B = [closed(*row, self.space) for row in zip(spans_B, drawn, strict=True)]
            running = torch.tensor([len(spans) > 1 for spans in spans_B])
            given = self._given([spans if len(spans) > 1 else (noise.new_zeros(0).long(),) for spans in spans_B])

    def _symbols(self, reader: Reader, u: Tensor, running: Tensor, filter_: Filter) -> Iterator[Tensor]:
        """Yields the symbols (B, n) sampled so far, n = 1, 2, ..., until no row is `running`. `u` are uniform random
        numbers, (B, most)."""
        end, drawn = self.space.markers.get("end"), torch.full(u.shape, PADDING, dtype=torch.int64)
        for step in range(u.shape[1]):
            scores = reader.next_scores(drawn[:, :step])
            if filter_.penalises:
                scores = filter_.penalised(scores, reader.given, [row[row != PADDING] for row in drawn])
            scores[:, self.silent] = -torch.inf
            symbol = filter_.choose(scores, u[:, step].to(scores.device)).cpu()
            drawn[:, step] = torch.where(running, symbol, PADDING)
            running = running & (symbol != end) if end is not None else running
            yield drawn[:, : step + 1]
            if not running.any():
                return

    def opened(self, given: Tensor) -> Tensor:
        """Returns `given`; if it is empty and there is no start, the "end" marker, after which a text begins."""
        if len(given) or self.start is not None:
            return given
        if "end" not in self.space.markers:
            raise Refusal("this model can only continue a given text; give a prompt")
        return given.new_tensor([self.space.markers["end"]])

    def _given(self, spans_B: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
        """The symbols that are read before each row's first gap is filled, with the later gaps empty."""
        nothing, mark, rows = torch.zeros(0, dtype=torch.int64), self.space.markers, []
        for prefix, *after in spans_B:
            filling = arrange(prefix, torch.cat(after), nothing, mark, suffix_first=False)[:-1] if after else prefix
            rows.append(self.opened(filling))
        return rows
