"""Conversions of grids of numbers that codecs share: bytes and reals, straight and premultiplied colour, patches, and
known sites.

Shapes: B batch, C channels, N sites; _ stands for the axes of the grid, fine (S) or coarse (G).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contracts import Codec
from ..space import Known, Refusal

Axes = int | Sequence[int]  # one number per axis, or one for all


def of_each(value: Axes, axes: int, word: str) -> tuple[int, ...]:
    """Expands `value` to one number per axis. Raises Refusal if it does not fit; `word` names it in the message."""
    found = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(found) != axes or min(found) < 1:
        raise Refusal(f"{word}={value}: expected a positive integer, or {axes} of them, one per axis")
    return found


def numbers(data: Any, values: str, shape: tuple[int, ...], channels: int, alpha: bool) -> Tensor:
    """Converts data to float (B, *S, C), keeping the first C channels: bytes are scaled to [-1, 1], with `alpha`
    premultiplied; reals are unchanged. Raises Refusal for another type or shape."""
    if not isinstance(data, Tensor):
        data = torch.from_numpy(np.array(data) if isinstance(data, np.ndarray) else np.stack(data))
    if (values == "bytes") != (data.dtype == torch.uint8):
        raise Refusal(f"data of type {data.dtype}: expected {'uint8' if values == 'bytes' else 'reals, not uint8'}")
    if tuple(data.shape[1:-1]) != shape or data.shape[-1] < channels:
        found = f"data of shape {list(data.shape)}"
        raise Refusal(f"{found}: this codec expects (count, {', '.join(map(str, shape))}, {channels})")
    if values == "reals":
        return data[..., :channels].float()
    x = data[..., :channels].float() / 255
    if alpha:  # the colour of transparent pixels becomes black
        x = torch.cat([x[..., :3] * x[..., 3:], x[..., 3:]], -1)
    return x * 2 - 1


def restored(x_BS_C: Tensor, values: str, alpha: bool) -> Tensor:
    """The inverse of `numbers`."""
    if values == "reals":
        return x_BS_C.float()
    x = (x_BS_C.float() + 1) / 2
    if alpha:
        a = x[..., 3:].clamp(0, 1)
        x = torch.cat([x[..., :3] / a.clamp(min=1 / 255), a], -1)
        x = torch.where(a < 1 / 255, torch.zeros_like(x), x)
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def checked_kind(values: str, channels: int, alpha: bool) -> None:
    """Raises Refusal unless `values` is "bytes" or "reals", and if `alpha` is set without 4 channels of bytes."""
    if values not in ("bytes", "reals"):
        raise Refusal(f"values={values!r}: expected 'bytes' or 'reals'")
    if alpha and (values, channels) != ("bytes", 4):
        raise Refusal(f"alpha=True, channels={channels}, values={values!r}: alpha needs channels=4 and values='bytes'")


def alpha_by_channels(arguments: dict[str, Any]) -> dict[str, Any]:
    """Upgrades the arguments of codecs of version 1, which treated any four channels of bytes as RGBA."""
    four = arguments.get("channels", 4) == 4
    changed = arguments | {"alpha": four and arguments.get("values", "bytes") == "bytes"}
    distance = changed.get("distance")
    if isinstance(distance, dict) and distance.get("part") == "codecs.Crispness" and distance.get("version") == 1:
        changed["distance"] = distance | {"version": 2, "arguments": distance["arguments"] | {"alpha": four}}
    return changed


def split(x_BS_C: Tensor, patch: tuple[int, ...]) -> Tensor:
    """(B, *S, C) to (B, C prod(patch), *(S / patch)): the numbers of a patch become channels."""
    axes = len(patch)
    sizes = [size for n, p in zip(x_BS_C.shape[1:-1], patch, strict=True) for size in (n // p, p)]
    x = x_BS_C.reshape(len(x_BS_C), *sizes, -1)
    order = [0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1]
    return x.permute(order).flatten(axes + 1).movedim(-1, 1)


def joined(x_BC_: Tensor, patch: tuple[int, ...]) -> Tensor:
    """The inverse of `split` (for two axes a pixel shuffle, Shi et al. 2016)."""
    axes, grid = len(patch), x_BC_.shape[2:]
    x = x_BC_.movedim(1, -1).reshape(len(x_BC_), *grid, *patch, -1)
    order = [0, *(i for a in range(axes) for i in (1 + a, 1 + axes + a)), 2 * axes + 1]
    return x.permute(order).reshape(len(x_BC_), *(n * p for n, p in zip(grid, patch, strict=True)), -1)


def whole_sites(where: Tensor, grid: tuple[int, ...]) -> Tensor:
    """(N,) bool: true for the sites of the coarser `grid` whose pixels (elements) are all true in `where`."""
    for axis, sites in enumerate(grid):
        where = where.unflatten(axis, (sites, -1)).all(axis + 1)
    return where.flatten()


def known_sites(codec: Codec, given: Any, where: Any) -> Known:
    """The latents of a given datum as a Known, at the sites that lie entirely within `where`. With a learned codec,
    latents at the border also depend on data beyond it (receptive field)."""
    if where is None:
        raise Refusal("given content of this kind needs a mask of the part to keep: use --where")
    return Known(codec.encode([given]), whole_sites(torch.as_tensor(where), codec.space.shape)[None])
