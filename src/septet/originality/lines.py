"""Finds lines that occur in the training texts, and items that occur in a training list, from their hashes alone."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .calibration import Verdict
from .spans import normalised


@dataclass(frozen=True)
class Listed:
    """Hashes of a list of items: `hash_k` are the sorted hashes of its training items, `place_k` their indices in
    `names`, and `line_l` the hashes of all items, including held-out ones."""

    names: Sequence[str]
    hash_k: np.ndarray
    place_k: np.ndarray
    line_l: np.ndarray
    held_out: int

    def verdicts(self, data: Sequence[str]) -> list[Verdict]:
        """A verdict for each item: "copy" if it equals a training item up to case and white space, else "new". No
        held-out item would be called a copy, since none equals a training item by construction of the split."""
        hashes = np.array([_hash(normalised(item)) for item in data], np.uint64)
        place = np.searchsorted(self.hash_k, hashes).clip(max=max(0, len(self.hash_k) - 1))
        found = []
        for copied, at in zip(np.isin(hashes, self.hash_k), place, strict=True):
            nearest = self.names[int(self.place_k[at])]
            chance = 1 / (self.held_out + 1)
            found.append(Verdict("copy", nearest, 0.0, chance) if copied else Verdict("new", nearest, 1.0, 1.0))
        return found


def listed(training: Sequence[str], held_out: Sequence[str], names: Sequence[str]) -> Listed:
    """Computes the Listed of training and held-out items."""
    hash_n = np.array([_hash(normalised(item)) for item in training], np.uint64)
    hash_k, place_k = np.unique(hash_n, return_index=True)
    return Listed(names, hash_k, place_k.astype(np.uint32), hashed([*training, *held_out]), len(held_out))


def hashed(texts: Iterable[str]) -> np.ndarray:
    """uint64 (n,), sorted: hashes of the distinct lines of some texts, up to case and white space."""
    lines = {normalised(line) for text in texts for line in text.split("\n")}
    return np.array(sorted(map(_hash, lines - {""})), np.uint64)


def stand(lines: Sequence[str], hash_n: np.ndarray) -> list[bool]:
    """Whether the hash of each line is in `hash_n`, as returned by `hashed`."""
    return np.isin(np.array([_hash(normalised(line)) for line in lines], np.uint64), hash_n).tolist()


def _hash(line: str) -> int:
    return int.from_bytes(hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def items(text: str, begun: bool) -> list[str]:
    """The complete lines of a generated text: without the last one, which the length limit may have cut, and without
    the first one unless the text has `begun` at the beginning of a line."""
    lines = text.split("\n")
    whole = lines[0 if begun else 1 : -1] or lines[:1]
    return [line.strip() for line in whole if line.strip()]
