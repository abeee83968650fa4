"""Pictures to square patches and back, without learning.

Shapes: B batch, H W picture, C channels, P patch, N = (H/P)(W/P) sites.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contracts import Codec
from ..space import Known, Refusal, Space


def premultiplied(pictures_BHWC: Tensor) -> Tensor:
    """uint8 RGB(A) to floats in [-1, 1]; the colour of transparent pixels becomes that of -1, black."""
    x = pictures_BHWC.float() / 255
    if x.shape[-1] == 4:
        x = torch.cat([x[..., :3] * x[..., 3:], x[..., 3:]], -1)
    return x * 2 - 1


def straight(x_BHWC: Tensor) -> Tensor:
    """The inverse of `premultiplied`, to uint8."""
    x = (x_BHWC.float() + 1) / 2
    if x.shape[-1] == 4:
        alpha = x[..., 3:].clamp(0, 1)
        x = torch.cat([x[..., :3] / alpha.clamp(min=1 / 255), alpha], -1)
        x = torch.where(alpha < 1 / 255, torch.zeros_like(x), x)
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def whole_sites(where: Tensor, grid: tuple[int, ...]) -> Tensor:
    """(N,) bool: the sites of a coarser `grid` whose every pixel (or point, on other axes) `where` holds true."""
    for axis, sites in enumerate(grid):
        where = where.unflatten(axis, (sites, -1)).all(axis + 1)
    return where.flatten()


def known_sites(codec: Codec, given: Any, where: Any) -> Known:
    """What a given datum fixes: the latents of the sites that lie whole within `where`. Latents of a learned codec
    at its border know a little of what the datum holds beyond it."""
    if where is None:
        raise Refusal("a given picture needs a mask that says which of its pixels to keep")
    return Known(codec.encode([given]), whole_sites(torch.as_tensor(where), codec.space.shape)[None])


class Patches(Codec):
    """uint8 (B, size, size, channels), RGBA premultiplied by alpha, to (B, N, P P channels) in [-1, 1]."""

    def __init__(self, size: int = 32, patch: int = 4, channels: int = 4):
        super().__init__()
        if size % patch:
            raise Refusal(f"size={size}, patch={patch}: the size must be a multiple of the patch")
        self.size, self.patch, self.channels = size, patch, channels
        self.space = Space((size // patch, size // patch), channels=patch * patch * channels)

    @classmethod
    def tiny(cls) -> "Patches":
        return cls(size=8, patch=4)

    def encode(self, data: Any) -> Tensor:
        if not isinstance(data, Tensor):
            data = torch.from_numpy(np.stack(data))
        B, P, n = len(data), self.patch, self.size // self.patch
        x = premultiplied(data[..., : self.channels])
        return x.view(B, n, P, n, P, self.channels).transpose(2, 3).reshape(B, n * n, -1)

    def decode(self, latents: Tensor) -> Tensor:
        B, P, n = len(latents), self.patch, self.size // self.patch
        x = latents.view(B, n, n, P, P, self.channels).transpose(2, 3)
        return straight(x.reshape(B, self.size, self.size, self.channels))

    def known(self, given: Any, where: Any = None) -> Known:
        return known_sites(self, given, where)
