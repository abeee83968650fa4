"""Items that are the same, or nearly: found by hashes of their content, and by MinHash over their sketches.

Shapes: n items, K hashes a signature.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

NEAR = 0.8  # the Jaccard index of two sketches from which the items count as near duplicates
LOOSE = 0.6  # what the first members of two groups must have in common before the groups are joined: no endless chains
BANDS, ROWS = 16, 4  # two items with Jaccard 0.8 share no band in 2 of 10,000 cases, with 0.3 in 88 of 100
NEIGHBOURS = 4  # items compared with each in a band, in sorted order, so that no crowded band costs n^2


class Groups:
    """Items joined into groups (union-find); a group is known by its smallest member."""

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


def signature(sketch: np.ndarray) -> np.ndarray:
    """uint32 (K,) MinHash (Broder 1997): two are equal in as many places as the sketches' Jaccard index says. An empty
    sketch has the signature UNKNOWN."""
    if not len(sketch):
        return UNKNOWN
    mixed = sketch.astype(np.uint64)[:, None] * _FACTORS + _OFFSETS  # multiply-shift (Dietzfelbinger et al. 1997)
    return (mixed >> np.uint64(32)).min(0).astype(np.uint32)


UNKNOWN = np.zeros(BANDS * ROWS, np.uint32)
_RANDOM = np.random.Generator(np.random.Philox(20))
_FACTORS = _RANDOM.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _RANDOM.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """The share of all elements that two sets have in common."""
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / max(1, len(first) + len(second) - common)


def near(
    signatures_nK: np.ndarray, sketch_of: Callable[[int], np.ndarray], keys: Sequence[bytes] = ()
) -> list[list[int]]:
    """All items in groups of near duplicates, by their first members. An item whose signature is UNKNOWN is alone;
    items of the same key belong together."""

    def alike(first: int, second: int) -> float:
        return jaccard(sketch_of(first), sketch_of(second))

    groups, known = Groups(), np.flatnonzero(signatures_nK.any(1))
    for band in range(BANDS):
        rolled = np.roll(signatures_nK[known], -band * ROWS, axis=1)
        order = np.lexsort(rolled[:, 2 * ROWS - 1 :: -1].T)  # by this band, then the next: twins are neighbours
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
