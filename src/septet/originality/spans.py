"""The longest spans that generated texts share with training texts, up to case and white space, compared with those of
held-out text.

Shapes: n characters of all texts, concatenated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..space import Refusal
from .calibration import FEWEST, Verdict, p_values, word_of

CHUNK = 2_000_000  # characters of training text per suffix array
LONGEST = 4096  # characters; longer spans are counted as this long
COVERING = 50  # characters; shorter spans do not count as copied text
PIECES = 500  # most pieces of held-out text for calibration
SCALE = 50.0  # characters; scores are exp(-length / SCALE)


@dataclass(frozen=True)
class Span:
    """The longest copied span of a text: its length in characters, the index of the training text, the span itself, and
    the share of the text's characters that lie in copied spans of at least `COVERING`."""

    length: int
    source: int
    text: str
    covered: float


@dataclass(frozen=True)
class Judged:
    """The spans of generated texts and of held-out pieces of the same length, the p-value of each generated text, and
    the shares of held-out pieces that would be called a copy, and close."""

    generated: list[Span]
    held_out: list[Span]
    p: np.ndarray
    lengths: list[int]
    honest_shares: dict[str, float]

    def verdicts(self, names: Sequence[str]) -> list[Verdict]:
        found = zip(self.generated, self.p, self.lengths, strict=True)
        return [
            Verdict(word_of(float(p)), names[span.source], 1 - span.length / max(1, length), float(p))
            for span, p, length in found
        ]


def normalised(text: str) -> str:
    """Lower case, with single spaces."""
    return " ".join(text.casefold().split())


def judge(generated: list[str], training: list[str], held_out: list[str]) -> Judged:
    """Compares the spans of generated texts with those of held-out pieces that are as long as the longest of them."""
    texts = [normalised(text) for text in generated]
    pieces = _pieces([normalised(text) for text in held_out], max(map(len, texts)))
    if len(pieces) < FEWEST:
        raise Refusal(f"too few held-out items to calibrate: {len(pieces)} pieces as long as the generated texts")
    spans = copied(texts + pieces, training)
    made, unseen = spans[: len(texts)], spans[len(texts) :]
    scores = [np.exp(-np.array([span.length for span in group]) / SCALE) for group in (made, unseen)]
    words = [word_of(float(p)) for p in p_values(scores[1], scores[1])]
    shares = {word: words.count(word) / len(words) for word in ("copy", "close")}
    return Judged(made, unseen, p_values(*scores), [len(text) for text in texts], shares)


def _pieces(texts: list[str], length: int) -> list[str]:
    cut = [text[begin : begin + length] for text in texts for begin in range(0, len(text) - length + 1, max(1, length))]
    return cut[:: -(-len(cut) // PIECES) or 1]


def copied(texts: Sequence[str], training: Sequence[str]) -> list[Span]:
    """The Span of each text, exact up to `LONGEST` characters, from suffix arrays of groups of training texts."""
    texts = [normalised(text) for text in texts]
    starts = np.cumsum([0] + [len(text) + 1 for text in texts])
    best, where = np.zeros(starts[-1], np.int64), np.zeros(starts[-1], np.int64)
    for parts, sources in _parts(training):
        length, source = _matches(texts, parts)
        better = length > best
        best[better], where[better] = length[better], np.asarray(sources)[source[better]]
    found = []
    for text, begin in zip(texts, starts, strict=False):
        length = best[begin : begin + len(text)]
        at = int(length.argmax()) if len(length) else 0
        longest = int(length[at]) if len(length) else 0
        found.append(Span(longest, int(where[begin + at]), text[at : at + longest], _covered(length)))
    return found


def _covered(length_n: np.ndarray) -> float:
    reach = np.where(length_n >= COVERING, np.arange(len(length_n)) + length_n, 0)
    inside = np.maximum.accumulate(reach) > np.arange(len(length_n)) if len(length_n) else np.zeros(0)
    return float(inside.mean()) if len(inside) else 0.0


def _parts(training: Sequence[str]) -> Iterator[tuple[list[str], list[int]]]:
    """Yields normalised training texts and their indices in groups of about CHUNK characters; longer texts are cut,
    with an overlap."""
    parts: list[str] = []
    sources: list[int] = []
    for index, text in enumerate(training):
        text = normalised(text)
        for begin in range(0, len(text) or 1, CHUNK):
            parts.append(text[begin : begin + CHUNK + LONGEST])
            sources.append(index)
            if sum(map(len, parts)) >= CHUNK:
                yield parts, sources
                parts, sources = [], []
    if parts:
        yield parts, sources


def _matches(texts: list[str], parts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """For each position in the texts (and the border after each), the length of the longest span that begins there and
    also occurs in one of the parts, and the index of that part."""
    whole = [*texts, *parts]
    codes = np.concatenate([np.append(_codes(text), 0x110000 + i) for i, text in enumerate(whole)])  # borders differ
    own = sum(len(text) + 1 for text in texts)
    ranks, order = _sorted_suffixes(codes, max([1, *map(len, texts)]))
    place = np.arange(len(order))
    trained = order >= own
    before = np.maximum.accumulate(np.where(trained, place, -1))
    after = np.minimum.accumulate(np.where(trained, place, len(order))[::-1])[::-1]
    asked = np.flatnonzero(~trained)
    length, partner = np.zeros(own, np.int64), np.full(own, own, np.int64)
    for neighbour in (before[asked], after[asked]):
        valid = (neighbour >= 0) & (neighbour < len(order))
        mine, other = order[asked[valid]], order[neighbour[valid]]
        common = _agreement(ranks, mine, other)
        better = common > length[mine]
        length[mine[better]], partner[mine[better]] = common[better], other[better]
    borders = np.cumsum([own] + [len(part) + 1 for part in parts])
    return length, np.searchsorted(borders, partner, side="right") - 1


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)


def _sorted_suffixes(codes_n: np.ndarray, longest: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Ranks of all substrings of 1, 2, 4, ... characters, and the suffix array (Manber and Myers 1993)."""
    ranks, width = [np.unique(codes_n, return_inverse=True)[1].astype(np.int32)], 1
    order = np.argsort(ranks[0])
    while width < min(longest, LONGEST):
        rank = ranks[-1].astype(np.int64)
        following = np.append(rank[width:], np.full(min(width, len(rank)), -1)) + 1
        key = rank * (len(rank) + 1) + following
        order = np.argsort(key)
        step = np.append(0, np.cumsum(np.diff(key[order]) != 0))
        rank = np.empty(len(key), np.int32)
        rank[order] = step
        ranks.append(rank)
        width *= 2
    return ranks, order


def _agreement(ranks: list[np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The length of the common prefix of the suffixes at each pair of positions. All borders differ, so they end it."""
    length = np.zeros(len(first), np.int64)
    for power in reversed(range(len(ranks))):
        rank = ranks[power]
        length += (rank[first + length] == rank[second + length]) * (1 << power)
    return length
