"""Which lines stand in a person's texts, told by their hashes, without the texts."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from .spans import normalised


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
