"""Exact and near duplicates: found by hashes of content, and by MinHash over shingles.

Shapes: n items, K hashes per signature.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

NEAR = 0.8  # the Jaccard index of two sets of shingles from which the items count as near duplicates
LOOSE = 0.6  # the Jaccard index of the first members of two groups below which they are not joined: no long chains
BANDS, ROWS = 16, 4  # items with Jaccard index 0.8 share no band in 2 of 10,000 cases, with 0.3 in 88 of 100
NEIGHBOURS = 4  # each item is compared with so many in a band, in sorted order: crowded bands do not cost n^2


class Groups:
    """Union-find: items joined into groups; a group is represented by its smallest member."""

    def __init__(self):
        self.parent: dict[Any, Any] = {}

    def find(self, item: Any) -> Any:
        while self.parent.setdefault(item, item) != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, first: Any, second: Any) -> None:
        low, high = sorted((self.find(first), self.find(second)))
        self.parent[high] = low


def signature(shingles: np.ndarray) -> np.ndarray:
    """uint32 (K,) MinHash (Broder 1997): the expected share of equal entries of two signatures is the Jaccard index of
    the sets of shingles. An empty set has the signature UNKNOWN."""
    if not len(shingles):
        return UNKNOWN
    mixed = shingles.astype(np.uint64)[:, None] * _FACTORS + _OFFSETS  # multiply-shift (Dietzfelbinger et al. 1997)
    return (mixed >> np.uint64(32)).min(0).astype(np.uint32)


UNKNOWN = np.zeros(BANDS * ROWS, np.uint32)
_RANDOM = np.random.Generator(np.random.Philox(20))
_FACTORS = _RANDOM.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _RANDOM.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """The Jaccard index of two sets: the size of the intersection over that of the union."""
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / max(1, len(first) + len(second) - common)


def near(
    signatures_nK: np.ndarray, shingles_of: Callable[[int], np.ndarray], keys: Sequence[bytes] = ()
) -> list[list[int]]:
    """Groups all items into near duplicates, in the order of first members. An item whose signature is UNKNOWN is in a
    group of one; items with the same key are in one group."""

    def alike(first: int, second: int) -> float:
        return jaccard(shingles_of(first), shingles_of(second))

    groups, known = Groups(), np.flatnonzero(signatures_nK.any(1))
    for band in range(BANDS):
        rolled = np.roll(signatures_nK[known], -band * ROWS, axis=1)
        order = np.lexsort(rolled[:, 2 * ROWS - 1 :: -1].T)  # by this band, then the next, so that twins are adjacent
        rolled, sorted_items = rolled[order], known[order]
        for step in range(1, NEIGHBOURS + 1):
            same = (rolled[step:, :ROWS] == rolled[:-step, :ROWS]).all(1).nonzero()[0]
            likely = (rolled[same + step] == rolled[same]).mean(1) > NEAR - 0.15
            for place in same[likely]:
                first, second = int(sorted_items[place]), int(sorted_items[place + step])
                heads = groups.find(first), groups.find(second)
                if heads[0] != heads[1] and alike(first, second) >= NEAR and alike(*heads) >= LOOSE:
                    groups.join(first, second)
    first_of: dict[bytes, int] = {}
    for item, key in enumerate(keys):
        groups.join(first_of.setdefault(key, item), item)
    members: dict[int, list[int]] = {}
    for item in range(len(signatures_nK)):
        members.setdefault(groups.find(item), []).append(item)
    return list(members.values())
