"""Items that are the same, or nearly: found by hashes of their content, and by MinHash over their sketches.

Shapes: n items, K hashes a signature.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

NEAR = 0.8  # the Jaccard index of two sketches from which the items count as near duplicates
LOOSE = 0.6  # what the first members of two groups must have in common before the groups are joined: no endless chains
BANDS, ROWS = 16, 4  # two items with Jaccard 0.8 share no band in 2 of 10,000 cases, with 0.3 in 88 of 100
NEIGHBOURS = 4  # items compared with each in a band, in sorted order, so that no crowded band costs n^2


def digest(datum: Any) -> bytes:
    """A hash of a datum's content: strings, arrays, numbers, and dataclasses and sequences of them."""
    hasher = hashlib.blake2b(digest_size=16)

    def feed(value: Any) -> None:
        if isinstance(value, str):
            content = b"s" + value.encode(errors="surrogatepass")
        elif isinstance(value, np.ndarray):
            content = b"a" + f"{value.dtype}{value.shape}".encode() + value.tobytes()
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            return feed([getattr(value, field.name) for field in dataclasses.fields(value)])
        elif isinstance(value, list | tuple):
            hasher.update(f"l{len(value)}".encode())
            for inner in value:
                feed(inner)
            return
        else:
            content = b"r" + repr(value).encode()
        hasher.update(f"{len(content)}:".encode() + content)

    feed(datum)
    return hasher.digest()


class Groups:
    """Items joined into groups (union-find); a group is known by its smallest member."""

    def __init__(self, count: int):
        self.parent = list(range(count))

    def find(self, item: int) -> int:
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, first: int, second: int) -> None:
        low, high = sorted((self.find(first), self.find(second)))
        self.parent[high] = low


def signature(sketch: np.ndarray) -> np.ndarray:
    """uint32 (K,) MinHash (Broder 1997): two are equal in as many places as the sketches' Jaccard index says."""
    mixed = sketch.astype(np.uint64)[:, None] * _FACTORS + _OFFSETS  # multiply-shift (Dietzfelbinger et al. 1997)
    return (mixed >> np.uint64(32)).min(0).astype(np.uint32)


_RANDOM = np.random.Generator(np.random.Philox(20))
_FACTORS = _RANDOM.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _RANDOM.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """The share of all elements that two sets have in common."""
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / max(1, len(first) + len(second) - common)


def near(signatures_nK: np.ndarray, sketch_of: Callable[[int], np.ndarray], items: Sequence[int]) -> Groups:
    """Groups of near duplicates among all of `signatures_nK`; only `items` are compared."""

    def alike(first: int, second: int) -> float:
        return jaccard(sketch_of(first), sketch_of(second))

    groups = Groups(len(signatures_nK))
    chosen = np.asarray(items, dtype=np.int64)
    for band in range(BANDS):
        rolled = np.roll(signatures_nK[chosen], -band * ROWS, axis=1)
        order = np.lexsort(rolled[:, 2 * ROWS - 1 :: -1].T)  # by this band, then the next: twins are neighbours
        rolled, sorted_items = rolled[order], chosen[order]
        for step in range(1, NEIGHBOURS + 1):
            same = (rolled[step:, :ROWS] == rolled[:-step, :ROWS]).all(1).nonzero()[0]
            likely = (rolled[same + step] == rolled[same]).mean(1) > NEAR - 0.15
            for place in same[likely]:
                first, second = int(sorted_items[place]), int(sorted_items[place + step])
                heads = groups.find(first), groups.find(second)
                if heads[0] != heads[1] and alike(first, second) >= NEAR and alike(*heads) >= LOOSE:
                    groups.join(first, second)
    return groups
