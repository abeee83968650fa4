"""Splits grids of numbers into patches, and joins them; not learned.

Shapes: B batch, C channels, N sites, P pixels in a patch.
"""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..backbones.convolution import to_grid, to_sites
from ..contracts import Codec
from ..space import Known, Refusal, Space
from .grids import alpha_by_channels, checked_kind, joined, known_sites, numbers, of_each, restored, split


class Patches(Codec):
    """Encodes (B, *shape, channels) to (B, N, P * channels). `size` is the side of square pictures, or the shape of a
    grid with any number of axes (sound, clips, voxels); `patch` the side of its patches, or one number per axis.
    `values`: "bytes" (uint8, scaled to [-1, 1]) or "reals". With `alpha`, the four channels are RGBA, and colour is
    premultiplied by alpha."""

    version = 2

    def __init__(
        self,
        size: int | Sequence[int] = 32,
        patch: int | Sequence[int] = 4,
        channels: int = 4,
        alpha: bool = False,
        values: str = "bytes",
    ):
        super().__init__()
        checked_kind(values, channels, alpha)
        self.shape = (size, size) if isinstance(size, int) else tuple(size)
        self.patches = of_each(patch, len(self.shape), "patch")
        if any(n % p for n, p in zip(self.shape, self.patches, strict=True)):
            raise Refusal(f"size={size}, patch={patch}: the size must be a multiple of the patch")
        self.size, self.patch, self.channels, self.alpha, self.values = size, patch, channels, alpha, values
        coarse = tuple(n // p for n, p in zip(self.shape, self.patches, strict=True))
        self.space = Space(coarse, channels=math.prod(self.patches) * channels)

    @classmethod
    def tiny(cls) -> "Patches":
        return cls(size=8, patch=4, alpha=True)

    @classmethod
    def upgrade(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
        return alpha_by_channels(arguments) if version == 1 else super().upgrade(arguments, version)

    def encode(self, data: Any) -> Tensor:
        return to_sites(split(numbers(data, self.values, self.shape, self.channels, self.alpha), self.patches))

    def decode(self, latents: Tensor) -> Tensor:
        return restored(joined(to_grid(latents, self.space.shape), self.patches), self.values, self.alpha)

    def encode_known(self, given: Any, where: Any = None) -> Known:
        return known_sites(self, given, where)
