"""Random given regions of a grid, for training: scattered sites, everything except a box (inpainting), only a box
(outpainting), and the leading sites of the first axis (first frames, the upper part of a picture).

Shapes: B batch, N sites.
"""

import torch
from torch import Tensor

from ..space import Space


def random_regions(space: Space, batch: int) -> Tensor:
    """(B, N) bool, true where a site is given; at least one is not. Uses torch's global random generator."""
    return torch.stack([_region(space.shape) for _ in range(batch)])


def _region(shape: tuple[int, ...]) -> Tensor:
    kind, share = int(torch.randint(4, ())), float(torch.rand(()))
    if kind == 0:
        where = torch.rand(shape) < share
    elif kind == 3:
        where = torch.zeros(shape, dtype=torch.bool)
        where[: int(share * shape[0])] = True
    else:
        box = torch.zeros(shape, dtype=torch.bool)
        box[tuple(_interval(n) for n in shape)] = True
        where = box if kind == 2 else ~box
    if where.all():
        where.view(-1)[int(torch.randint(where.numel(), ()))] = False
    return where.flatten()


def _interval(sites: int) -> slice:
    length = int(torch.randint(1, sites + 1, ()))
    begin = int(torch.randint(0, sites - length + 1, ()))
    return slice(begin, begin + length)
