"""An index of a project's files for completion: finds the longest suffix of a text that occurs in them, and counts the
tokens that follow it there.

Shapes: n tokens of all files, concatenated.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..codecs.symbols import Symbols
from ..contracts import Codec
from ..space import Refusal

BITS, A_KEY, KEYS = 16, 4, 3  # bits per token, tokens per key, keys
LONGEST = A_KEY * KEYS  # most tokens of a match
TAIL = 160  # characters at the end of a text that are matched
NEAREST = 64  # most occurrences of a match that are counted
AHEAD = 48  # characters that are read at an occurrence
BEGUN = re.compile(r"[ \t]?\w*\Z")  # a space or partial word at the end: no token of a whole word starts there
MANY, SHARE = 8, 0.25  # more changed files, with a larger share of all tokens, are merged into the main segment


@dataclass
class Found:
    """The longest suffix of a text that occurs in the files: its length in tokens, and counts of the next tokens."""

    length: int
    followers: Counter[int]


class Segment:
    """A suffix array in reverse: positions in concatenated files, sorted by the tokens before them, nearest first."""

    def __init__(self, codec: Symbols, files: dict[str, str]):
        self.names, self.text = list(files), "\0".join(files.values()) + "\0"
        symbols, starts = codec.placed(self.text)
        self.symbols, self.starts = symbols.astype(np.uint64), starts
        begins = np.cumsum([0, *(len(text) + 1 for text in files.values())])
        self.file_of = np.searchsorted(begins, starts, side="right") - 1
        keys = [self._key(back * A_KEY) for back in range(KEYS)]
        self.order = np.lexsort(keys[::-1])
        self.keys = [key[self.order] for key in keys]

    def _key(self, back: int) -> np.ndarray:
        """uint64 (n,): the A_KEY tokens that end `back` tokens before each position, nearest in the highest bits."""
        key = np.zeros(len(self.symbols), np.uint64)
        for place in range(A_KEY):
            shift = back + place + 1
            if shift < len(key):
                key[shift:] |= self.symbols[:-shift] << np.uint64(BITS * (A_KEY - 1 - place))
        return key

    def after(self, symbols: list[int], gone: set[int]) -> tuple[int, np.ndarray]:
        """The longest suffix of `symbols` that occurs in this segment: its length, and the positions after its
        occurrences. Files whose numbers are in `gone` are skipped."""
        low, high, best = 0, len(self.order), (0, np.zeros(0, np.int64))
        for length in range(1, min(len(symbols), LONGEST) + 1):
            keys, place = self.keys[(length - 1) // A_KEY], (length - 1) % A_KEY
            run = symbols[-length : len(symbols) - length + place + 1][::-1]  # the tokens of this key, nearest first
            least = sum(symbol << (BITS * (A_KEY - 1 - k)) for k, symbol in enumerate(run))
            most = least + (1 << (BITS * (A_KEY - 1 - place))) - 1
            part = keys[low:high]
            first = int(np.searchsorted(part, np.uint64(least)))
            last = int(np.searchsorted(part, np.uint64(most), side="right"))
            low, high = low + first, low + last
            if low == high:
                break
            places = self.order[low:high]
            if gone:
                places = places[~np.isin(self.file_of[places], list(gone))]
                if not len(places):
                    break
            best = length, places
        return best


class Index:
    """An index of files by name. Files can be changed and removed at any time."""

    def __init__(self, codec: Codec, files: Mapping[str, str] | None = None):
        if not isinstance(codec, Symbols) or (codec.space.symbols or 0) > 1 << BITS:
            raise Refusal(f"{codec.space}: an index supports vocabularies of at most {1 << BITS:,} tokens")
        self.codec, self.files = codec, dict(files or {})
        self.settle()

    def settle(self) -> None:
        """Rebuilds the main segment from all files; takes seconds for millions of tokens."""
        self.main = Segment(self.codec, self.files)
        self.fresh: dict[str, Segment] = {}  # one segment per changed file
        self.changed: set[str] = set()
        self.gone: set[int] = set()

    def put(self, name: str, text: str | None) -> None:
        """Adds, changes or, with `text` None, removes a file."""
        if self.files.get(name) == text:
            return
        changed, others = {*self.changed, name}, {n: t for n, t in self.files.items() if n != name}
        files = others if text is None else others | {name: text}
        fresh = {n: segment for n, segment in self.fresh.items() if n != name}
        self.fresh = fresh if text is None else fresh | {name: Segment(self.codec, {name: text})}
        self.files, self.changed = files, changed
        self.gone = {n for n, other in enumerate(self.main.names) if other in changed}
        if len(changed) > MANY and sum(len(s.symbols) for s in self.fresh.values()) > SHARE * len(self.main.symbols):
            self.settle()

    def after(self, text: str, but: str | None = None) -> Found:
        """The longest suffix of `text` that occurs in the files, and the tokens that follow it; the file `but` is
        skipped."""
        text = text[-TAIL:]
        match = BEGUN.search(text)
        partial = match.group() if match else ""
        head = self.codec.symbols_of(text[: len(text) - len(partial)], begun=False).tolist()
        found = Found(0, Counter())
        for segment, gone in (*((segment, set()) for segment in self.fresh.values()), (self.main, self.gone)):
            out = {n for n, name in enumerate(segment.names) if name == but} if but is not None else set()
            length, places = segment.after(head, gone | out)
            if not length or length < found.length:
                continue
            followers = self._followers(segment, places[-NEAREST:], partial)
            if followers and length > found.length:
                found = Found(length, Counter())
            found.followers.update(followers)
        return found

    def _followers(self, segment: Segment, places: np.ndarray, partial: str) -> Counter[int]:
        """Counts of the tokens that follow `partial` at the given positions."""
        rests: Counter[str] = Counter()
        for place in places.tolist():
            begin = int(segment.starts[place])
            ahead = segment.text[begin : begin + AHEAD].partition("\0")[0]
            if len(ahead) > len(partial) and ahead.startswith(partial):
                rests[ahead[len(partial) :]] += 1
        found: Counter[int] = Counter()
        for rest, count in rests.items():
            symbols = self.codec.symbols_of(rest, begun=False)
            found[int(symbols[0])] += count
        return found
