"""The convolutional encoder and decoder of the learned codecs, which halve grids of 1, 2 or 3 axes repeatedly.

Shapes: B batch, C channels; _ stands for the axes of the grid, fine (S) or coarse (G).
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.convolution import CONVOLUTIONS, Residual, convolution, normalisation
from ..space import Refusal
from .grids import Axes, joined, of_each, split


@dataclass(frozen=True)
class Pyramid:
    """The shapes of an encoder or decoder. A grid of `shape` with `channels` numbers per site is split into patches of
    `stem`, then halved until it is `down` times coarser; both are one number per axis, or one for all. `width`, the
    channels of the finest stage, doubles with each halving; each stage has `blocks` residual blocks. An axis that is
    halved fewer times than others is halved in the coarsest stages."""

    shape: tuple[int, ...]
    channels: int
    width: int
    blocks: int
    down: Axes
    stem: Axes

    def __post_init__(self):
        if len(self.shape) not in CONVOLUTIONS:
            raise Refusal(f"shape={list(self.shape)}: expected 1, 2 or 3 axes for a learned codec")
        if any(n % by or by % p or (by // p) & (by // p - 1) for n, by, p in self._axes):
            raise Refusal(
                f"shape={list(self.shape)}, down={self.down}, stem={self.stem}: every axis must be a multiple of down, "
                "and down the stem times a power of 2"
            )

    @property
    def _axes(self) -> list[tuple[int, int, int]]:
        """Size, down and stem of each axis."""
        down, stem = (of_each(v, self.axes, w) for v, w in ((self.down, "down"), (self.stem, "stem")))
        return list(zip(self.shape, down, stem, strict=True))

    @property
    def axes(self) -> int:
        return len(self.shape)

    @property
    def patch(self) -> tuple[int, ...]:
        """The stem of each axis."""
        return tuple(stem for _, _, stem in self._axes)

    @property
    def coarse(self) -> tuple[int, ...]:
        return tuple(n // down for n, down, _ in self._axes)

    @property
    def strides(self) -> list[tuple[int, ...]]:
        """The stride along each axis, for each stage but the first, from fine to coarse."""
        halvings = [(down // stem).bit_length() - 1 for _, down, stem in self._axes]
        stages = range(1, max(halvings) + 1)
        return [tuple(2 if stage > max(halvings) - times else 1 for times in halvings) for stage in stages]

    @property
    def widths(self) -> list[int]:
        return [self.width * 2**i for i in range(len(self.strides) + 1)]


class Encoder(nn.Module):
    """(B, *S, C) to (B, `leaving`, *G)."""

    def __init__(self, pyramid: Pyramid, leaving: int):
        super().__init__()
        axes, widths = pyramid.axes, pyramid.widths
        self.patch = pyramid.patch
        layers: list[nn.Module] = [convolution(axes, pyramid.channels * math.prod(self.patch), widths[0])]
        for stage, width in enumerate(widths):
            if stage:
                layers.append(convolution(axes, width // 2, width, stride=pyramid.strides[stage - 1]))
            layers += [Residual(axes, width, width) for _ in range(pyramid.blocks)]
        self.layers = nn.Sequential(*layers)
        self.norm, self.leave = normalisation(widths[-1]), convolution(axes, widths[-1], leaving, kernel=1)

    def forward(self, x_BS_C: Tensor) -> Tensor:
        return self.leave(F.silu(self.norm(self.layers(split(x_BS_C, self.patch)))))


class Decoder(nn.Module):
    """(B, `entering`, *G) to (B, *S, C)."""

    def __init__(self, pyramid: Pyramid, entering: int):
        super().__init__()
        axes, widths = pyramid.axes, pyramid.widths[::-1]
        self.patch = pyramid.patch
        layers: list[nn.Module] = [convolution(axes, entering, widths[0])]
        for stage, width in enumerate(widths):
            if stage:
                scale = tuple(map(float, pyramid.strides[-stage]))
                layers += [convolution(axes, 2 * width, width), nn.Upsample(scale_factor=scale, mode="nearest")]
            layers += [Residual(axes, width, width) for _ in range(pyramid.blocks)]
        self.layers = nn.Sequential(*layers)
        self.norm = normalisation(widths[-1])
        self.leave = convolution(axes, widths[-1], pyramid.channels * math.prod(self.patch))

    def forward(self, x_BC_: Tensor) -> Tensor:
        return joined(self.leave(F.silu(self.norm(self.layers(x_BC_)))), self.patch)
