"""The convolutional encoder and decoder that the learned codecs share: a pyramid of halvings over 1, 2 or 3 axes.

Shapes: B batch, C channels; _ stands for the axes of the grid, fine (S) or coarse (G).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.convolution import CONVOLUTIONS, Residual, convolution, normalisation
from ..space import Refusal
from .patches import premultiplied, straight


@dataclass(frozen=True)
class Pyramid:
    """A grid of `shape` with `channels` numbers a site, seen by patches of `stem`, then halved until it is `down`
    times coarser. `width` is that of the finest stage; it doubles with each halving."""

    shape: tuple[int, ...]
    channels: int
    width: int
    blocks: int
    down: int
    stem: int

    def __post_init__(self):
        if len(self.shape) not in CONVOLUTIONS:
            raise Refusal(f"shape={list(self.shape)}: a learned codec takes 1, 2 or 3 axes")
        halvings = math.log2(self.down / self.stem) if self.stem >= 1 and self.down >= 1 else -1
        if halvings < 0 or halvings != int(halvings):
            raise Refusal(f"down={self.down}, stem={self.stem}: the first must be the second times a power of 2")
        if any(n % self.down for n in self.shape):
            raise Refusal(f"shape={list(self.shape)}, down={self.down}: every axis must be a multiple of it")

    @property
    def axes(self) -> int:
        return len(self.shape)

    @property
    def coarse(self) -> tuple[int, ...]:
        return tuple(n // self.down for n in self.shape)

    @property
    def widths(self) -> list[int]:
        return [self.width * 2**i for i in range(int(math.log2(self.down // self.stem)) + 1)]


def split(x_BS_C: Tensor, patch: int) -> Tensor:
    """(B, *S, C) to (B, C patch^axes, *(S / patch)): the numbers of each patch side by side."""
    axes = x_BS_C.dim() - 2
    sizes = [size for n in x_BS_C.shape[1:-1] for size in (n // patch, patch)]
    x = x_BS_C.reshape(len(x_BS_C), *sizes, -1)
    order = [0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1]
    return x.permute(order).flatten(axes + 1).movedim(-1, 1)


def joined(x_BC_: Tensor, patch: int) -> Tensor:
    """The inverse of `split` (for two axes a pixel shuffle, Shi et al. 2016)."""
    axes, grid = x_BC_.dim() - 2, x_BC_.shape[2:]
    x = x_BC_.movedim(1, -1).reshape(len(x_BC_), *grid, *[patch] * axes, -1)
    order = [0, *(i for a in range(axes) for i in (1 + a, 1 + axes + a)), 2 * axes + 1]
    return x.permute(order).reshape(len(x_BC_), *(n * patch for n in grid), -1)


class Encoder(nn.Module):
    """(B, *S, C) to (B, `leaving`, *G)."""

    def __init__(self, pyramid: Pyramid, leaving: int):
        super().__init__()
        axes, widths = pyramid.axes, pyramid.widths
        self.stem = pyramid.stem
        layers: list[nn.Module] = [convolution(axes, pyramid.channels * self.stem**axes, widths[0])]
        for stage, width in enumerate(widths):
            if stage:
                layers.append(convolution(axes, width // 2, width, stride=2))
            layers += [Residual(axes, width, width) for _ in range(pyramid.blocks)]
        self.layers = nn.Sequential(*layers)
        self.norm, self.leave = normalisation(widths[-1]), convolution(axes, widths[-1], leaving, kernel=1)

    def forward(self, x_BS_C: Tensor) -> Tensor:
        return self.leave(F.silu(self.norm(self.layers(split(x_BS_C, self.stem)))))


class Decoder(nn.Module):
    """(B, `entering`, *G) to (B, *S, C)."""

    def __init__(self, pyramid: Pyramid, entering: int):
        super().__init__()
        axes, widths = pyramid.axes, pyramid.widths[::-1]
        self.stem = pyramid.stem
        layers: list[nn.Module] = [convolution(axes, entering, widths[0])]
        for stage, width in enumerate(widths):
            if stage:
                layers += [convolution(axes, 2 * width, width), nn.Upsample(scale_factor=2, mode="nearest")]
            layers += [Residual(axes, width, width) for _ in range(pyramid.blocks)]
        self.layers = nn.Sequential(*layers)
        self.norm = normalisation(widths[-1])
        self.leave = convolution(axes, widths[-1], pyramid.channels * self.stem**axes)

    def forward(self, x_BC_: Tensor) -> Tensor:
        return joined(self.leave(F.silu(self.norm(self.layers(x_BC_)))), self.stem)


def numbers(data: Any, values: str, shape: tuple[int, ...], channels: int) -> Tensor:
    """Data as float (B, *S, C), the first C channels: bytes in [-1, 1], premultiplied where they are RGBA; reals as
    they are."""
    if not isinstance(data, Tensor):
        data = torch.from_numpy(np.stack(data))
    if (values == "bytes") != (data.dtype == torch.uint8):
        raise Refusal(f"data of type {data.dtype}: this codec was made for {values}")
    if tuple(data.shape[1:-1]) != shape or data.shape[-1] < channels:
        found = f"data of shape {list(data.shape)}"
        raise Refusal(f"{found}: this codec was made for (count, {', '.join(map(str, shape))}, {channels})")
    data = data[..., :channels]
    return premultiplied(data) if values == "bytes" else data.float()


def restored(x_BS_C: Tensor, values: str) -> Tensor:
    """The inverse of `numbers`."""
    return straight(x_BS_C) if values == "bytes" else x_BS_C.float()
