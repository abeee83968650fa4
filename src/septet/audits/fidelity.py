"""Fidelity and diversity of generated data, measured on septet's own frozen features, each next to its floor: what real
data score against other real data. Figures are comparable only for equal set sizes, and never with a published FID.

Shapes: n items, F features, d of them after reduction, M generated and N real items.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contracts import Modality
from ..originality.neighbours import blocks, radii
from ..space import Refusal

NEIGHBOURS = 5
FEWEST = 2 * NEIGHBOURS  # least number of items in each set
ENOUGH = 50  # with fewer held-out items, the floor is computed between halves of the training data
MOST_AXES = 64
SUBSETS, SUBSET = 100, 1000


def frechet(first_nF: np.ndarray, second_nF: np.ndarray) -> float:
    """The Fréchet distance of normal distributions fitted to float64 features; n should be well above F."""
    means = [x.mean(0) for x in (first_nF, second_nF)]
    one, two = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (first_nF, second_nF))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(0)).sum()  # the trace of (S1 S2)^(1/2), kept symmetric
    shift = means[0] - means[1]
    return float(shift @ shift + np.trace(one) + np.trace(two) - 2 * cross)  # Dowson and Landau 1982, eq. 4


def kernel_distance(first_nF: np.ndarray, second_nF: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Mean and standard deviation of the unbiased squared MMD over random subsets (KID, Binkowski et al. 2018); the
    mean may be negative."""
    size = min(SUBSET, len(first_nF), len(second_nF))
    subsets = SUBSETS if size == SUBSET else 10
    size = size if size == SUBSET else max(2, size * 4 // 5)
    stream, found = np.random.Generator(np.random.Philox(seed)), []
    for _ in range(subsets):
        x, y = (z[stream.permutation(len(z))[:size]] for z in (first_nF, second_nF))
        found.append(_squared_mmd(x, y))
    return float(np.mean(found)), float(np.std(found))


def _squared_mmd(x_nF: np.ndarray, y_nF: np.ndarray) -> float:
    n, width = x_nF.shape
    xx, yy, xy = ((a @ b.T / width + 1) ** 3 for a, b in ((x_nF, x_nF), (y_nF, y_nF), (x_nF, y_nF)))
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (n * (n - 1))
    return float(within - 2 * xy.mean())  # Gretton et al. 2012, eq. 3


def manifolds(generated_MF: Tensor, real_NF: Tensor, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), with balls around each
    point that reach to its k-th nearest neighbour in its own set."""
    ball_M, ball_N = radii(generated_MF, k), radii(real_NF, k)
    within, recalled = 0, 0
    inside_M, covered_N = torch.zeros(len(generated_MF)), torch.zeros(len(real_NF), dtype=torch.bool)
    for rows, distance in blocks(real_NF, generated_MF):
        inside = distance < ball_N[rows, None]
        inside_M += inside.sum(0)
        within += int(inside.sum())
        covered_N[rows] = inside.any(1)
        recalled += int((distance < ball_M).any(1).sum())
    return {
        "precision": float((inside_M > 0).float().mean()),
        "recall": recalled / len(real_NF),
        "density": within / (k * len(generated_MF)),
        "coverage": float(covered_N.float().mean()),
    }


def compare(
    generated: Sequence[Any], real: Sequence[Any], held_out: Sequence[Any], modality: Modality, seed: int = 0
) -> dict[str, Any]:
    """Figures of generated data against training data (`real`), and under "floor" those of real data that the model
    never saw (held-out ones, or the other half of the training data), all at the same set size `items`."""
    few = len(held_out) < min(ENOUGH, len(generated), len(real) // 2)
    items = min(len(generated), len(real) // 2 if few else min(len(real), len(held_out)))
    if items < FEWEST:
        raise Refusal(f"{items} items a side: fidelity takes at least {FEWEST}; give more data, or a larger --count")
    stream = np.random.Generator(np.random.Philox(seed))
    order = stream.permutation(len(real))
    others = [real[i] for i in order[items : 2 * items]] if few else _chosen(held_out, items, stream)
    groups = _chosen(generated, items, stream), [real[i] for i in order[:items]], others
    features = [modality.features(group) for group in groups]
    made, seen, unseen = _scaled(*(x.double().numpy() for x in features))
    axes = max(2, min(MOST_AXES, items // 5, made.shape[1]))
    basis = np.linalg.svd(np.concatenate([seen, unseen]), full_matrices=False)[2][:axes].T  # real data only
    figures = {}
    for name, one, raw in (("generated", made, features[0]), ("floor", unseen, features[2])):
        distance, deviation = kernel_distance(one, seen, seed)
        figures[name] = {
            "frechet_distance": frechet(one @ basis, seen @ basis),
            "kernel_distance": distance,
            "kernel_distance_deviation": deviation,
            **manifolds(raw, features[1]),
        }
    against = "the other half of the training data" if few else "held-out data"
    return {"items": items, "neighbours": NEIGHBOURS, "axes": axes, "floor_from": against, **figures}


def _chosen(data: Sequence[Any], count: int, stream: np.random.Generator) -> list[Any]:
    return [data[i] for i in stream.permutation(len(data))[:count]]


def _scaled(made: np.ndarray, seen: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shifts and scales all sets alike, so that real data have mean 0 and mean squared norm F, as the kernel
    expects."""
    real = np.concatenate([seen, unseen])
    centre = real.mean(0)
    scale = np.sqrt(((real - centre) ** 2).sum(1).mean() / real.shape[1]) or 1.0
    return (made - centre) / scale, (seen - centre) / scale, (unseen - centre) / scale
