"""Nearest neighbours by Euclidean distance, a block of rows at a time, so that no n x n matrix is ever held.

Shapes: Q queries, R references, F features, k neighbours.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 512


def blocks(query_QF: Tensor, reference_RF: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the queries, and their distances to all references."""
    for begin in range(0, len(query_QF), BLOCK):
        rows = slice(begin, min(begin + BLOCK, len(query_QF)))
        yield rows, torch.cdist(query_QF[rows], reference_RF)


def nearest(query_QF: Tensor, reference_RF: Tensor) -> tuple[Tensor, Tensor]:
    """(Q,) distances to the nearest reference, and its index."""
    found = [distance.min(1) for _, distance in blocks(query_QF, reference_RF)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def radii(points_RF: Tensor, k: int) -> Tensor:
    """(R,) each point's distance to its k-th nearest other point."""
    found = []
    for rows, distance in blocks(points_RF, points_RF):
        own = torch.arange(rows.start, rows.stop)
        distance[torch.arange(len(own)), own] = torch.inf
        found.append(distance.kthvalue(k, 1).values)
    return torch.cat(found)
