"""Fingerprints of training texts, which reveal copied spans without the texts: hashes of selected character n-grams.

Shapes: n characters or n-grams of a text, k selected n-grams of all training texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..modalities.text import grams
from ..space import Refusal
from .calibration import FEWEST, Verdict, p_values, word_of
from .spans import COVERING, SCALE, normalised

RUN = 32  # characters of an n-gram
WINDOW = 16  # of as many n-grams in a row at least one is kept: no copy of RUN + WINDOW - 1 characters is missed
BLOCK = 1 << 20  # n-grams that are processed at a time
PLACES = 8  # most occurrences of an n-gram in the training texts that are followed
LENGTHS = (100, 200, 400, 800, 1600, 3200)  # characters of held-out pieces for calibration
PIECES = 400  # most pieces of each length


@dataclass(frozen=True)
class Copied:
    """A span of a normalised text that also occurs in a training text: its begin and end, and the index of the training
    text. The copy may extend up to WINDOW - 1 characters further at both ends."""

    begin: int
    end: int
    source: int


@dataclass(frozen=True)
class Fingerprints:
    """`hash_k` are the sorted hashes of the selected n-grams and `place_k` their positions in the concatenated training
    texts, where text i begins at `start_n[i]`. `honest` are the lengths of the longest copied spans of held-out pieces,
    by the length of the pieces. `line_l` are the hashes of all lines."""

    names: Sequence[str]
    hash_k: np.ndarray
    place_k: np.ndarray
    start_n: np.ndarray
    honest: dict[int, np.ndarray]
    held_out: int
    line_l: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))

    def verdicts(self, data: Sequence[str]) -> list[Verdict]:
        """A verdict for each text, by its longest copied span. Raises Refusal if there is too little held-out text."""
        if not self.honest:
            raise Refusal(
                f"too little held-out text to calibrate: fewer than {FEWEST} pieces of {LENGTHS[0]} characters"
            )
        return [self._verdict(normalised(text)) for text in data]

    def _verdict(self, text: str) -> Verdict:
        longest = max(self._copied(text), key=lambda span: span.end - span.begin, default=None)
        if longest is None:
            return Verdict("new", self.names[0], 1.0, 1.0)
        size = min((size for size in self.honest if size >= len(text)), default=max(self.honest))
        scores = (np.exp(-lengths / SCALE) for lengths in (np.array([longest.end - longest.begin]), self.honest[size]))
        p = min(
            1.0, float(p_values(*scores)[0]) * max(1, -(-len(text) // size))
        )  # Bonferroni correction: a long text has many pieces
        share = 1 - (longest.end - longest.begin) / max(1, len(text))
        return Verdict(word_of(p), self.names[longest.source], share, p)

    def copied(self, text: str) -> list[Copied]:
        """The copied spans of a text, all those of RUN + WINDOW - 1 characters and some shorter ones."""
        return self._copied(normalised(text))

    def _copied(self, text: str) -> list[Copied]:
        hash_n = grams(text, RUN)
        first, after = (np.searchsorted(self.hash_k, hash_n, side) for side in ("left", "right"))
        count = np.minimum(after - first, PLACES)
        at = np.repeat(np.arange(len(hash_n)), count)
        nth = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
        place = self.place_k[np.repeat(first, count) + nth].astype(np.int64)
        order = np.lexsort((at, place - at))
        at, place = at[order], place[order]
        broken = (np.diff(place - at) != 0) | (np.diff(at) > WINDOW)
        begins, ends = np.flatnonzero(np.append(True, broken)), np.flatnonzero(np.append(broken, True))
        if not len(at):
            return []
        source = np.searchsorted(self.start_n, place[begins], side="right") - 1
        found = zip(at[begins].tolist(), (at[ends] + RUN).tolist(), source.tolist(), strict=True)
        return [Copied(*span) for span in found]


def fingerprinted(training: Sequence[str], held_out: Sequence[str], names: Sequence[str]) -> Fingerprints:
    """Computes the Fingerprints of training texts, calibrated on held-out texts."""
    texts = [normalised(text) for text in training]
    start_n = np.cumsum([0] + [len(text) + 1 for text in texts])[:-1]
    hash_n = grams("\n".join(texts), RUN)  # n-grams across texts contain a newline, which normalised texts do not
    place_k = np.concatenate(list(_winnowed(hash_n)) or [np.zeros(0, np.int64)])
    order = np.argsort(hash_n[place_k], kind="stable")
    place_k = place_k[order]
    kept = Fingerprints(names, hash_n[place_k], place_k.astype(np.uint32), start_n, {}, len(held_out))
    unseen = [normalised(text) for text in held_out]
    for length in LENGTHS:
        pieces = [text[begin : begin + length] for text in unseen for begin in range(0, len(text) - length + 1, length)]
        if len(pieces) >= FEWEST:
            chosen = pieces[:: -(-len(pieces) // PIECES)]
            kept.honest[length] = np.array([_longest(kept._copied(piece)) for piece in chosen], np.float64)
    return kept


def _longest(spans: Sequence[Copied]) -> int:
    return max((span.end - span.begin for span in spans), default=0)


def _winnowed(hash_n: np.ndarray) -> Iterator[np.ndarray]:
    """Winnowing (Schleimer et al. 2003): the position of the smallest hash in each WINDOW of hashes, the last of equal
    ones."""
    last = -1
    for begin in range(0, len(hash_n) - WINDOW + 1, BLOCK):
        windows = np.lib.stride_tricks.sliding_window_view(hash_n[begin : begin + BLOCK + WINDOW - 1], WINDOW)
        place = np.unique(begin + np.arange(len(windows)) + WINDOW - 1 - windows[:, ::-1].argmin(1))
        yield place[place > last]
        last = int(place[-1])


def marked(text: str, spans: Sequence[Copied]) -> list[tuple[str, bool]]:
    """Cuts a normalised text into pieces, each with whether it lies in a copied span of COVERING characters or more."""
    inside = np.zeros(len(text), bool)
    for span in spans:
        if span.end - span.begin >= COVERING:
            inside[span.begin : span.end] = True
    borders = [0, *(np.flatnonzero(np.diff(inside)) + 1).tolist(), len(text)]
    return [(text[a:b], bool(inside[a])) for a, b in pairwise(borders) if a < b]
