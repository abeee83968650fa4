"""Scales pictures to one size: pixel art is detected and kept crisp, others are resampled; and finds palettes.

Shapes: H W a picture's height and width, S the one size, P colours. Pictures are uint8 (H, W, 4), straight alpha.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

PIXEL_ART_SIDE = 128  # larger pictures count as pixel art only if they were enlarged from this or less
PIXEL_ART_COLOURS = 64
PLAIN_COLOURS = 8  # up to so many, soft edges cannot be distinguished from shading
EDGE = 64  # difference of a channel, of 255, that counts as an edge


def codes(picture_HW4: np.ndarray) -> np.ndarray:
    """uint32 (H, W): one number per colour; 0 for all fully transparent pixels."""
    code = np.ascontiguousarray(picture_HW4).view(np.uint32)[..., 0]
    return np.where(picture_HW4[..., 3] == 0, np.uint32(0), code)


def enlargement(code_HW: np.ndarray) -> int:
    """The largest k such that the picture consists of uniform k x k squares; 1 if there is none, or only one colour."""
    lines = np.flatnonzero((code_HW[1:] != code_HW[:-1]).any(1)) + 1
    columns = np.flatnonzero((code_HW[:, 1:] != code_HW[:, :-1]).any(0)) + 1
    if not len(lines) + len(columns):
        return 1
    return math.gcd(*code_HW.shape, *map(int, lines), *map(int, columns))


def _soft_share(picture_HW4: np.ndarray) -> float:
    """The share of edges along rows or columns that contain a pixel with a colour between those of its neighbours, as
    anti-aliasing causes."""
    shares = []
    visible = picture_HW4[..., :3].astype(np.int32) * (picture_HW4[..., 3:] > 127)
    for lines in (visible, visible.transpose(1, 0, 2)):
        edge = np.abs(np.diff(lines, axis=1)).max(-1) > EDGE
        before, middle, after = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
        low, high = np.minimum(before, after), np.maximum(before, after)
        between = ((middle >= low) & (middle <= high)).all(-1) & (middle != before).any(-1) & (middle != after).any(-1)
        soft = between & ((high - low).max(-1) > EDGE)
        shares.append(soft.sum() / max(1, edge.sum() + soft.sum()))
    return float(max(shares))


def pixel_art(picture_HW4: np.ndarray) -> int:
    """The factor by which pixel art was enlarged; 0 if the picture is not pixel art, which has few colours, hard edges
    and no partly transparent pixels."""
    alpha = picture_HW4[..., 3]
    if ((alpha > 0) & (alpha < 255)).any():
        return 0
    code = codes(picture_HW4)
    if len(np.unique(code.flat[:: 1 + code.size // 1024])) > PIXEL_ART_COLOURS:  # a cheap test first
        return 0
    k = enlargement(code)
    small = code[::k, ::k]
    colours = len(np.unique(small))
    if max(small.shape) > PIXEL_ART_SIDE or not 2 <= colours <= PIXEL_ART_COLOURS:
        return 0
    return k if k > 1 or colours <= PLAIN_COLOURS or _soft_share(picture_HW4) < 0.2 else 0


def _padded(picture_HW4: np.ndarray, side: int) -> np.ndarray:
    """The picture in the middle of a transparent square."""
    height, width = picture_HW4.shape[:2]
    square = np.zeros((side, side, 4), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture_HW4
    return square


def _squared(picture_HW4: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    height, width = picture_HW4.shape[:2]
    if height == width:
        return picture_HW4, ()
    if (picture_HW4[..., 3] < 255).any():
        return _padded(picture_HW4, max(height, width)), ("not square and padded with transparency",)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture_HW4[top : top + side, left : left + side], ("not square and cropped to the middle",)


def _nearest(square_HW4: np.ndarray, size: int) -> np.ndarray:
    """Scales by nearest neighbour: a smaller picture with transparency by a whole factor, so that all pixels have the
    same size, with a transparent rim."""
    side = len(square_HW4)
    if side <= size and (square_HW4[..., 3] < 255).any():
        factor = size // side
        return _padded(square_HW4.repeat(factor, 0).repeat(factor, 1), size)
    take = (np.arange(size) * 2 + 1) * side // (2 * size)  # the source pixel under each target pixel's centre
    return square_HW4[take][:, take]


def _resampled(square_HW4: np.ndarray, size: int) -> np.ndarray:
    """Scales down by a Hamming window, which neither blurs nor rings, and up by bicubic; alpha is premultiplied."""
    kind = Image.Resampling.HAMMING if len(square_HW4) >= size else Image.Resampling.BICUBIC
    if (square_HW4[..., 3] == 255).all():
        small = np.asarray(Image.fromarray(np.ascontiguousarray(square_HW4[..., :3])).resize((size, size), kind))
        return np.dstack([small, np.full((size, size), 255, np.uint8)])
    return np.array(Image.fromarray(np.ascontiguousarray(square_HW4)).resize((size, size), kind))


def fit(picture_HW4: np.ndarray, size: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Scales to uint8 (S, S, 4); also returns remarks on what was done. Transparent pixels become black, so that
    pictures that look the same have the same bytes."""
    k = pixel_art(picture_HW4)
    small = picture_HW4[::k, ::k] if k > 1 else picture_HW4
    square, remarks = _squared(small)
    if k:
        remarks = ("pixel art, scaled by nearest neighbour", *remarks)
        remarks += ("enlarged pixel art, brought back to its own pixels first",) if k > 1 else ()
    if len(square) != size:
        square = (_nearest if k else _resampled)(square, size)
    return np.where(square[..., 3:] == 0, np.uint8(0), square), remarks


def tiles(picture_HW4: np.ndarray, side: int) -> list[np.ndarray]:
    """The tiles of a sheet, row by row, without those of one colour; a picture smaller than a tile is one."""
    height, width = picture_HW4.shape[:2]
    if height < side or width < side:
        return [picture_HW4]
    corners = [(y, x) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)]
    cut = [picture_HW4[y : y + side, x : x + side] for y, x in corners]
    return [tile for tile in cut if len(np.unique(codes(tile))) > 1]


def _premultiplied(colours_P4: np.ndarray) -> np.ndarray:
    alpha = colours_P4[:, 3:].astype(np.float32)
    return np.concatenate([colours_P4[:, :3] * (alpha / 255), alpha], 1)


def palette(pictures: Sequence[np.ndarray], count: int) -> list[tuple[int, ...]]:
    """A palette of at most `count` colours: all colours of the pictures if these are so few, else k-means (Lloyd 1982)
    in premultiplied RGBA, each centre replaced by the nearest colour that occurs."""
    some = pictures[:: 1 + len(pictures) // 2000]
    values, counts = np.unique(np.concatenate([codes(picture).ravel() for picture in some]), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:4096]
    colours = values[order].view(np.uint8).reshape(-1, 4)
    weight = counts[order].astype(np.float64)
    if len(colours) > count:
        points = _premultiplied(colours)
        chosen = [0]
        nearest = ((points - points[0]) ** 2).sum(1)
        while len(chosen) < count:  # the colour with the largest error, by distance and frequency
            chosen.append(int(np.argmax(nearest * np.sqrt(weight))))
            nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
        centres = points[chosen]
        for _ in range(10):
            owner = ((points[:, None] - centres) ** 2).sum(-1).argmin(1)
            mass = np.bincount(owner, weight, count)
            sums = np.stack([np.bincount(owner, weight * channel, count) for channel in points.T], 1)
            centres = np.where(mass[:, None] > 0, sums / np.maximum(mass, 1)[:, None], centres)
        colours = colours[np.unique(((centres[:, None] - points) ** 2).sum(-1).argmin(1))]
    return sorted(tuple(map(int, colour)) for colour in colours)


def snapped(picture_HW4: np.ndarray, colours: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Replaces each pixel by the nearest of `colours`, in premultiplied RGBA."""
    values, inverse = np.unique(codes(picture_HW4), return_inverse=True)
    table_P4 = np.array(colours, np.uint8)
    points, known = _premultiplied(values.view(np.uint8).reshape(-1, 4)), _premultiplied(table_P4)
    parts = [points[i : i + 4096] for i in range(0, len(points), 4096)]
    nearest = np.concatenate([((part[:, None] - known) ** 2).sum(-1).argmin(1) for part in parts])
    return table_P4[nearest][inverse].reshape(picture_HW4.shape)
