"""Nearest neighbours by Euclidean distance, computed in blocks of rows, without an n x n matrix in memory.

Shapes: Q queries, R references, F features, k neighbours.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 512


def blocks(query_QF: Tensor, reference_RF: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yields blocks of query rows as a slice, with their distances to all references."""
    for begin in range(0, len(query_QF), BLOCK):
        rows = slice(begin, min(begin + BLOCK, len(query_QF)))
        yield rows, torch.cdist(query_QF[rows], reference_RF)


def nearest(query_QF: Tensor, reference_RF: Tensor) -> tuple[Tensor, Tensor]:
    """The distance to the nearest reference, (Q,), and its index, (Q,)."""
    found = [distance.min(1) for _, distance in blocks(query_QF, reference_RF)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def radii(points_RF: Tensor, k: int) -> Tensor:
    """(R,) distance of each point to its k-th nearest other point."""
    found = []
    for rows, distance in blocks(points_RF, points_RF):
        own = torch.arange(rows.start, rows.stop)
        distance[torch.arange(len(own)), own] = torch.inf
        found.append(distance.kthvalue(k, 1).values)
    return torch.cat(found)
