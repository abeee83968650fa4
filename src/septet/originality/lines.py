"""Which lines stand in a person's texts, and which items in a list, told by their hashes, without the texts."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .calibration import Verdict
from .spans import normalised


@dataclass(frozen=True)
class Listed:
    """What is kept of a list: `hash_k`, in order, of its training items, `place_k`, which of the `names` each is, and
    `line_l`, the hashes of all items, held-out ones too."""

    names: Sequence[str]
    hash_k: np.ndarray
    place_k: np.ndarray
    line_l: np.ndarray
    held_out: int

    def verdicts(self, data: Sequence[str]) -> list[Verdict]:
        """One for each item: "copy" where it is a training item, case and white space aside, else "new". Of held-out
        items none would be called a copy, since that is how they were chosen."""
        hashes = np.array([_hash(normalised(item)) for item in data], np.uint64)
        place = np.searchsorted(self.hash_k, hashes).clip(max=max(0, len(self.hash_k) - 1))
        found = []
        for copied, at in zip(np.isin(hashes, self.hash_k), place, strict=True):
            nearest = self.names[int(self.place_k[at])]
            chance = 1 / (self.held_out + 1)
            found.append(Verdict("copy", nearest, 0.0, chance) if copied else Verdict("new", nearest, 1.0, 1.0))
        return found


def listed(training: Sequence[str], held_out: Sequence[str], names: Sequence[str]) -> Listed:
    """What `Listed.verdicts` needs."""
    hash_n = np.array([_hash(normalised(item)) for item in training], np.uint64)
    hash_k, place_k = np.unique(hash_n, return_index=True)
    return Listed(names, hash_k, place_k.astype(np.uint32), hashed([*training, *held_out]), len(held_out))


def hashed(texts: Iterable[str]) -> np.ndarray:
    """uint64 (n,), in order: of the different lines of some texts, case and white space aside."""
    lines = {normalised(line) for text in texts for line in text.split("\n")}
    return np.array(sorted(map(_hash, lines - {""})), np.uint64)


def stand(lines: Sequence[str], hash_n: np.ndarray) -> list[bool]:
    """Whether each line is among those that were `hashed`."""
    return np.isin(np.array([_hash(normalised(line)) for line in lines], np.uint64), hash_n).tolist()


def _hash(line: str) -> int:
    return int.from_bytes(hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def items(text: str, begun: bool) -> list[str]:
    """The whole lines of a drawn text: without the last, which its length may have cut, and unless the text has `begun`
    at a line's beginning without the first, which may lack its own."""
    lines = text.split("\n")
    whole = lines[0 if begun else 1 : -1] or lines[:1]
    return [line.strip() for line in whole if line.strip()]
