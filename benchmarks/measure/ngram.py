"""An n-gram model over tokens with a cache, as a baseline for completion: Witten-Bell smoothing (1991), interpolated
with an n-gram model of the current file (Hellendoorn & Devanbu 2017).

Shapes: n tokens, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np

MIXER = np.uint64(0x9E3779B97F4A7C15)


class NGram:
    """Counts of all n-grams of up to `order` tokens."""

    def __init__(self, symbols: np.ndarray, order: int, vocabulary: int):
        self.order, self.vocabulary = order, vocabulary
        symbols = symbols.astype(np.uint64)
        self.unigram = np.bincount(symbols.astype(np.int64), minlength=vocabulary) + 1.0
        self.unigram /= self.unigram.sum()
        self.tables = []
        context = np.zeros(len(symbols), np.uint64)
        for length in range(1, order):
            context = (np.roll(symbols, length) + np.uint64(1)) * _power(length) + context
            keys = context[length:]
            order_of = np.lexsort((symbols[length:], keys))
            keys, following = keys[order_of], symbols[length:][order_of]
            new = np.ones(len(keys), bool)
            new[1:] = (keys[1:] != keys[:-1]) | (following[1:] != following[:-1])
            starts = np.flatnonzero(new)
            counts = np.diff(np.append(starts, len(keys)))
            self.tables.append((keys[starts], following[starts].astype(np.int32), counts.astype(np.int32)))

    def chances(self, context: Sequence[int]) -> np.ndarray:
        """(V,) probabilities of the next token."""
        chance_V, key = self.unigram, np.uint64(0)
        for length, (keys, following, counts) in enumerate(self.tables, 1):
            if length > len(context):
                break
            with np.errstate(over="ignore"):
                key = np.uint64(context[-length] + 1) * _power(length) + key
            low, high = np.searchsorted(keys, key), np.searchsorted(keys, key, side="right")
            if low == high:
                break
            total, kinds = counts[low:high].sum(), high - low
            chance_V = chance_V * (kinds / (total + kinds))
            chance_V[following[low:high]] += counts[low:high] / (total + kinds)
        return chance_V


def _power(exponent: int) -> np.uint64:
    value = 1
    for _ in range(exponent):
        value = value * int(MIXER) % (1 << 64)
    return np.uint64(value)


def line(model: NGram, cache: NGram, share: float, context: list[int], ends: set[int], most: int) -> list[int]:
    """Greedy decoding up to the first token that ends a line."""
    drawn: list[int] = []
    while len(drawn) < most:
        chance_V = (1 - share) * model.chances(context + drawn) + share * cache.chances(context + drawn)
        drawn.append(int(chance_V.argmax()))
        if drawn[-1] in ends:
            break
    return drawn
