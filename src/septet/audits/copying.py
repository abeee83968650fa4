"""Two measures of whether a set of samples as a whole is too close to the training data, which verdicts on single items
may miss.

Shapes: M generated, T held-out and R training items, F features.
"""

import numpy as np
import torch
from torch import Tensor

from ..originality.neighbours import nearest, radii

CELL_ITEMS = 20  # mean number of held-out items per cell
MOST_CELLS = 10


def authentic_share(query_MF: Tensor, training_RF: Tensor) -> float:
    """AuthPct (Alaa et al. 2022, eq. 9): the share of queries that are farther from their nearest training item than
    that item is from its own nearest neighbour in the training data."""
    distance_M, index_M = nearest(query_MF, training_RF)
    return float((distance_M > radii(training_RF, 1)[index_M]).float().mean())


def copying_score(
    generated_MF: Tensor, held_out_TF: Tensor, training_RF: Tensor, cells: int | None = None, seed: int = 0
) -> float | None:
    """C_T (Meehan et al. 2020). Below -3, generated items are nearer to the training data than held-out items are,
    which indicates copying; far above 0, they are farther. None if no cell of the training data holds enough of
    both."""
    cells = cells or max(1, min(MOST_CELLS, len(held_out_TF) // CELL_ITEMS))
    centre_CF = centres(training_RF, cells, seed)
    cell_M, cell_T, cell_R = (nearest(x, centre_CF)[1] for x in (generated_MF, held_out_TF, training_RF))
    total, weight = 0.0, 0
    for cell in range(len(centre_CF)):
        made, unseen, seen = generated_MF[cell_M == cell], held_out_TF[cell_T == cell], training_RF[cell_R == cell]
        if len(made) < min(CELL_ITEMS, len(generated_MF) / 2) or not len(unseen) or not len(seen):
            continue
        total += _rank_score(nearest(made, seen)[0].numpy(), nearest(unseen, seen)[0].numpy()) * len(unseen)
        weight += len(unseen)
    return total / weight if weight else None


def _rank_score(made_m: np.ndarray, unseen_n: np.ndarray) -> float:
    """The z-score of the Mann-Whitney U of generated against held-out distances; ties count half."""
    m, n, ordered = len(made_m), len(unseen_n), np.sort(unseen_n)
    above = (np.searchsorted(ordered, made_m, "left") + np.searchsorted(ordered, made_m, "right")).sum() / 2
    return float((above - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))  # Meehan et al. 2020, section 3


def centres(points_RF: Tensor, count: int, seed: int) -> Tensor:
    """Centres by k-means (Lloyd 1982), initialised with random points."""
    stream = torch.Generator().manual_seed(seed)
    centre_CF = points_RF[torch.randperm(len(points_RF), generator=stream)[:count]].clone()
    for _ in range(10):
        cell_R = nearest(points_RF, centre_CF)[1]
        for cell in range(len(centre_CF)):
            if bool((cell_R == cell).any()):
                centre_CF[cell] = points_RF[cell_R == cell].mean(0)
    return centre_CF
