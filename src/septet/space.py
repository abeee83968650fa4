"""Latent spaces, and latents that are partly given.

Shapes: B batch, N sites, C channels.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

MOST_SITES = 1 << 22
PADDING = -1  # fills a discrete latent after its end; excluded from the loss


def input_only(symbols: Tensor) -> Tensor:
    """Marks tokens as input that is excluded from the loss, as prompts are in fine-tuning; encoded as -2 - token."""
    return -2 - symbols


def inputs(latents: Tensor) -> Tensor:
    """Converts training latents to network inputs: undoes `input_only`, replaces padding by 0."""
    return torch.where(latents < PADDING, -2 - latents, latents.clamp(min=0))


class Refusal(ValueError):
    """A request that cannot be fulfilled. The message names the value, what was expected, and what to do instead."""


@dataclass(frozen=True)
class Space:
    """A grid of sites, each with one of `symbols` discrete values or a vector of `channels` real numbers.

    `markers` maps the names of special symbols ("end", "prefix", "suffix", "middle") to their values.
    Discrete latents are int64 (B, N) with PADDING after the end; real latents are float (B, N, C).
    """

    shape: tuple[int, ...]
    symbols: int | None = None
    channels: int | None = None
    markers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(self.shape))
        if (self.symbols is None) == (self.channels is None):
            raise Refusal(f"Space{self.shape}: give either symbols or channels, got {self.symbols} and {self.channels}")
        if not self.shape or min(self.shape) < 1:
            raise Refusal(f"Space{self.shape}: every axis needs at least one site")
        if self.sites > MOST_SITES:
            raise Refusal(f"Space{self.shape}: at most {MOST_SITES:,} sites fit in memory")
        for name, symbol in self.markers.items():
            if not isinstance(symbol, int) or not 0 <= symbol < (self.symbols or 0):
                raise Refusal(
                    f"Space{self.shape}: the marker {name!r} must be in [0, {self.symbols or 0}), got {symbol}"
                )

    @property
    def discrete(self) -> bool:
        return self.symbols is not None

    @property
    def sites(self) -> int:
        return math.prod(self.shape)

    def coordinates(self, sites: int | None = None) -> Tensor:
        """float32 (N, axes) coordinates of the sites in row-major order. `sites` limits them to the first ones
        if there is one axis, and is ignored otherwise."""
        if len(self.shape) == 1:
            return torch.arange(sites or self.sites, dtype=torch.float32)[:, None]
        axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in self.shape), indexing="ij")
        return torch.stack([axis.flatten() for axis in axes], dim=-1)

    def holds(self, latents: Tensor) -> bool:
        """Whether the shape, type and values of `latents` fit this Space. Tokens marked `input_only` do not
        fit."""
        if self.symbols is not None:
            fits = latents.dim() == 2 and latents.shape[1] <= self.sites and latents.dtype == torch.int64
            return fits and bool(((latents >= PADDING) & (latents < self.symbols)).all())
        return latents.shape[1:] == (self.sites, self.channels) and bool(torch.isfinite(latents).all())


@dataclass(frozen=True)
class Known:
    """Latents of which a part is given.

    On a fixed grid: `values`, (B, N) or (B, N, C), given where `where_BN` is true.
    In a sequence whose gaps have unknown length: `spans`, for each sample the given pieces in order, int64 (n,) tensors
    with a gap between consecutive ones. A single span is a prefix to continue.
    """

    values: Tensor | None = None
    where_BN: Tensor | None = None
    spans: tuple[tuple[Tensor, ...], ...] | None = None

    def __post_init__(self):
        if (self.spans is None) == (self.values is None or self.where_BN is None):
            raise Refusal("Known: give either values with where_BN, or spans")

    @property
    def kind(self) -> str:
        """ "prefix" (one span per sample), "spans" (several), or "mask" (sites of a grid)."""
        if self.spans is not None:
            return "prefix" if all(len(spans) == 1 for spans in self.spans) else "spans"
        return "mask"

    def rows(self, index: list[int]) -> "Known":
        """The Known of the samples at `index`."""
        if self.spans is not None:
            return Known(spans=tuple(self.spans[i] for i in index))
        assert self.values is not None and self.where_BN is not None
        return Known(self.values[index], self.where_BN[index])

    def on_grid(self, space: Space) -> "Known":
        """Spans laid out on a sequence of fixed length, for a process that needs a grid: each gap gets an eighth of
        the sites of `space`, and the sequence ends after the last span."""
        assert self.spans is not None
        open_sites, rows, end = torch.full((max(1, space.sites // 8),), PADDING), [], space.markers.get("end")
        for spans in self.spans:
            row = torch.cat([part for span in spans for part in (span, open_sites)][:-1])
            row = row if end is None else torch.cat([row, torch.tensor([end])])
            if len(row) > space.sites:
                raise Refusal(f"{len(row)} sites with the gaps: the model generates at most {space.sites}; give less")
            rows.append(row)
        values = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PADDING)
        return Known(values, values != PADDING)
