"""Random known regions of a grid, of the kinds that people later ask for: scattered sites, everything but a box
(in-painting), only a box (out-painting), and the leading sites of the first axis (a first frame, an upper half).

Shapes: B batch, N sites.
"""

import torch
from torch import Tensor

from ..space import Space


def random_regions(space: Space, batch: int) -> Tensor:
    """(B, N) bool, true where a site is known; from torch's global stream. At least one site stays unknown."""
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
