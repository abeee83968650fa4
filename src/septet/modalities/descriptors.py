"""Hand-crafted features of pictures: not learned, so independent of any training data.

Shapes: B batch, H W a picture's height and width, S = 32 the side they are scaled to, F features.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 32
DIRECTIONS = 8
CHUNK = 256
FAINT = 0.1  # of the largest difference from the rim; less is noise
SHIFT, ZOOM = 2 / 16, 1.12  # the largest shift (of half a side) and crop of a copy that is detected


def _premultiplied(picture_HW4: np.ndarray) -> Tensor:
    """float32 (4, S, S) in [0, 1], colour times alpha."""
    x = torch.from_numpy(np.array(picture_HW4)).permute(2, 0, 1)[None].float() / 255
    x = torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1)
    if x.shape[-2:] == (SIDE, SIDE):
        return x[0]
    return F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)[0]


def _cosines(count: int) -> Tensor:
    """(count, S): the lowest rows of the orthonormal discrete cosine transform (Ahmed et al. 1974)."""
    place = (torch.arange(SIDE) + 0.5) * math.pi / SIDE
    rows = torch.cos(torch.arange(count)[:, None] * place) * math.sqrt(2 / SIDE)
    rows[0] /= math.sqrt(2)
    return rows


def _directions(x_B4SS: Tensor) -> Tensor:
    """(B, DIRECTIONS, S, S): edge strength of the strongest channel, by direction, split between the two nearest."""
    padded = F.pad(x_B4SS, (1, 1, 1, 1), mode="replicate")
    across, down = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2], padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    strongest = (across**2 + down**2).argmax(1, keepdim=True)
    across, down = across.gather(1, strongest)[:, 0], down.gather(1, strongest)[:, 0]
    turn = torch.atan2(down, across) / (2 * math.pi) % 1 * DIRECTIONS
    apart = (turn[:, None] - torch.arange(DIRECTIONS)[:, None, None]).abs()
    apart = torch.minimum(apart, DIRECTIONS - apart)
    return torch.hypot(across, down)[:, None] * (1 - apart).clamp(min=0)


def _histograms(edges_BDSS: Tensor, cells: int) -> Tensor:
    """Edge directions over cells x cells overlapping cells (Dalal and Triggs 2005), clipped, at unit length."""
    width = 2 * SIDE // (cells + 1)
    pooled = F.avg_pool2d(edges_BDSS, width, stride=(SIDE - width) // max(1, cells - 1) or 1)[..., :cells, :cells]
    flat = pooled.flatten(1)
    unit = flat / (flat.norm(dim=1, keepdim=True) + 0.02)
    ceiling = 3 / math.sqrt(flat.shape[1])
    clipped = unit.clamp(max=ceiling)
    return clipped / (clipped.norm(dim=1, keepdim=True) + 0.02)


def _features(x_B4SS: Tensor) -> Tensor:
    luma, low = torch.tensor([0.299, 0.587, 0.114]), _cosines(6)  # luma: ITU-R BT.601
    y = (x_B4SS[:, :3] * luma[:, None, None]).sum(1)
    planes = torch.stack([y, x_B4SS[:, 3], x_B4SS[:, 0] - y, x_B4SS[:, 2] - y], 1)
    waves = low @ planes @ low.T / SIDE
    edges = _directions(x_B4SS)
    blocks = [_histograms(edges, cells) for cells in (2, 3, 6)]
    layout = torch.cat([waves[:, :2].flatten(1), waves[:, 2:, :4, :4].flatten(1)], 1)
    return torch.cat([*blocks, 2 * layout], 1)


def picture_features(pictures: Sequence[np.ndarray]) -> Tensor:
    """float32 (B, F) features of uint8 (H, W, 4) pictures of any sizes: edge directions at three scales, and low
    frequencies of brightness, colour and alpha. Similar pictures have a small Euclidean distance."""
    found = [torch.zeros(0, DIRECTIONS * (4 + 9 + 36) + 2 * 36 + 2 * 16)]
    for begin in range(0, len(pictures), CHUNK):
        found.append(_features(torch.stack([_premultiplied(picture) for picture in pictures[begin : begin + CHUNK]])))
    return torch.cat(found)


def _silhouette(x_B4SS: Tensor) -> Tensor:
    """The difference of each pixel from the colour of the picture's rim, as alpha without colour, centred and scaled:
    invariant to recolouring, moving and cropping."""
    rim = torch.cat([x_B4SS[..., 0, :], x_B4SS[..., -1, :], x_B4SS[..., 0], x_B4SS[..., -1]], -1)
    apart_BSS = (x_B4SS - rim.median(-1).values[..., None, None]).abs().amax(1)
    apart_BSS = (apart_BSS / apart_BSS.amax((1, 2), keepdim=True).clamp(min=0.05) - FAINT).clamp(min=0) / (1 - FAINT)
    axis = torch.linspace(-1, 1, SIDE)
    mass, across, down = apart_BSS.sum((1, 2)).clamp(min=1e-6), apart_BSS.sum(1), apart_BSS.sum(2)
    x, y = (across * axis).sum(1) / mass, (down * axis).sum(1) / mass
    spread = (across * (axis - x[:, None]) ** 2).sum(1) + (down * (axis - y[:, None]) ** 2).sum(1)
    zoom, zero = ((spread / mass).sqrt() / 0.6).clamp(0.3, 1.3), torch.zeros_like(x)
    matrix = torch.stack([torch.stack([zoom, zero, x], 1), torch.stack([zero, zoom, y], 1)], 1)
    grid = F.affine_grid(matrix, [len(x), 1, SIDE, SIDE], align_corners=True)
    alpha = F.grid_sample(apart_BSS[:, None], grid, align_corners=True)
    return torch.cat([torch.zeros_like(x_B4SS[:, :3]), alpha], 1)


def _moved(x_B4SS: Tensor) -> Iterator[Tensor]:
    """The pictures unchanged, then slightly shifted, cropped and shrunk, then all of these mirrored."""
    moves = [(1.0, 0.0, 0.0), (1.0, SHIFT, 0.0), (1.0, -SHIFT, 0.0), (1.0, 0.0, SHIFT), (1.0, 0.0, -SHIFT)]
    moves += [(ZOOM, 0.0, 0.0), (1 / ZOOM, 0.0, 0.0)]
    for mirror in (1.0, -1.0):
        for zoom, x, y in moves:
            matrix = torch.tensor([[mirror * zoom, 0.0, x], [0.0, zoom, y]]).expand(len(x_B4SS), 2, 3)
            grid = F.affine_grid(matrix, list(x_B4SS.shape), align_corners=False)
            yield F.grid_sample(x_B4SS, grid, padding_mode="border", align_corners=False)


def picture_views(pictures: Sequence[np.ndarray]) -> list[Iterator[Tensor]]:
    """Modality.views of uint8 (H, W, 4) pictures: in colour, and as silhouettes."""
    x = torch.stack([_premultiplied(picture) for picture in pictures])
    soft = torch.tensor([1.0, 2.0, 1.0]) / 4  # blur: noise does not make a copy original
    kernel = (soft[:, None] * soft).expand(4, 1, 3, 3)
    x = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=4)
    shapes = _silhouette(x)
    return [map(_features, _moved(x)), map(_features, (shapes, shapes.flip(-1)))]


def _centred(shades_BSS: Tensor) -> Tensor:
    """Each picture shifted and scaled so that its paint has the same centre and spread."""
    axis = torch.linspace(-1, 1, shades_BSS.shape[-1])
    mass = shades_BSS.sum((1, 2)).clamp_min(1e-6)
    x = (shades_BSS.sum(1) * axis).sum(1) / mass
    y = (shades_BSS.sum(2) * axis).sum(1) / mass
    across = (shades_BSS.sum(1) * (axis - x[:, None]) ** 2).sum(1)
    down = (shades_BSS.sum(2) * (axis - y[:, None]) ** 2).sum(1)
    scale = (((across + down) / mass).sqrt() / 0.65).clamp(0.3, 1.3)
    zero = torch.zeros_like(scale)
    rows = torch.stack([torch.stack([scale, zero, x], 1), torch.stack([zero, scale, y], 1)], 1)
    grid = F.affine_grid(rows, [len(shades_BSS), 1, SIDE, SIDE], align_corners=True)
    return F.grid_sample(shades_BSS[:, None], grid, align_corners=True)[:, 0]


def likeness(shades_BSS: Tensor) -> Tensor:
    """float32 (B, F): blurred shades at three scales and histograms of edge directions (Dalal and Triggs 2005), each
    of unit length, of pictures normalised in position and size."""
    flat = _centred(shades_BSS)[:, None]
    blocks = [F.avg_pool2d(flat, n).flatten(1) for n in (2, 4, 8)]
    smooth = F.avg_pool2d(flat, 3, 1, 1, count_include_pad=False)
    padded = F.pad(smooth, (1, 1, 1, 1), mode="replicate")
    across, down = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2], padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    strength, angle = torch.hypot(across, down), torch.atan2(down, across) * 2  # doubled: a line has no front
    waves = [strength] + [strength * wave(k * angle) for k in (1, 2) for wave in (torch.cos, torch.sin)]
    blocks.append(F.avg_pool2d(torch.cat(waves, 1), 4).flatten(1))
    weights = (1.0, 1.0, 0.7, 1.2)
    return torch.cat([w * F.normalize(block, dim=1) for w, block in zip(weights, blocks, strict=True)], 1)
