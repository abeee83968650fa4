"""Passages of files for fill-in-the-middle training, split at any character, as by a cursor.

Shapes: B batch, N tokens.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..codecs.symbols import Symbols
from ..processes.gaps import arrange
from ..space import PADDING, Refusal
from .batches import random_stream

LINES = 0.75  # share of gaps that end at the end of a line; the others end anywhere
MORE_LINES = 0.3  # probability that such a gap extends over one more line, applied repeatedly
WIDEST = 400  # most characters of the other gaps
AFTER = 0.3  # largest share of a row for the text after a gap
SHORTEST = 16  # least tokens of a row: a gap of one character takes less than half
HELD_OUT = 16  # batches of held-out passages


class Passages:
    """Batches {"latents": (B, N), "prompt": (B, 0)} of rows of at most `length` tokens. The share `fill` of rows is
    fill-in-the-middle: half as prefix, suffix, middle, half with the suffix first (Bavarian et al. 2022); the prefix
    gets the room that the rest leaves. The others are plain passages. Cursors are uniform over all characters; a text
    ends with its end marker. `held_out` provides the batches of `validation`."""

    def __init__(
        self,
        texts: Sequence[str],
        codec: Symbols,
        batch: int,
        seed: int = 0,
        held_out: "Passages | None" = None,
        length: int | None = None,
        fill: float = 0.5,
    ):
        length = length or codec.length
        if batch < 1 or length < SHORTEST:
            raise Refusal(f"batch={batch}, length={length}: expected at least 1 and {SHORTEST}")
        self.texts, self.codec, self.batch, self.seed, self.held_out = texts, codec, batch, seed, held_out
        self.length, self.fill, self.mark = length, fill, codec.space.markers
        self.ends = np.cumsum([len(text) for text in texts])
        if not len(texts) or self.ends[-1] < 2:
            raise Refusal("there is no text to train on: give at least one file")
        sample = "".join(text[:1000] for text in texts[:: max(1, len(texts) // 50)])
        self.span = int(self.length * 1.2 * len(sample) / max(1, len(codec.symbols_of(sample, begun=False))))

    def at(self, step: int) -> dict[str, Tensor]:
        """The batch of a step."""
        stream = random_stream(self.seed, step)
        rows = [self._row(stream) for _ in range(self.batch)]
        whole = torch.full((self.batch, self.length), PADDING)
        for line, row in zip(whole, rows, strict=True):
            line[: len(row)] = row
        return {"latents": whole, "prompt": torch.zeros(self.batch, 0, dtype=torch.int64)}

    def validation(self) -> Iterator[dict[str, Tensor]]:
        """A fixed sample of held-out passages; empty without `held_out`."""
        return map(self.held_out.at, range(HELD_OUT)) if self.held_out else iter(())

    def _row(self, stream: np.random.Generator) -> Tensor:
        place = int(stream.integers(self.ends[-1]))
        which = int(np.searchsorted(self.ends, place, side="right"))
        text = self.texts[which]
        cursor = place - int(self.ends[which]) + len(text)
        filled, suffix_first, numbers = stream.random() < self.fill, stream.random() < 0.5, stream.random(8)
        if not filled:
            return self._plain(text, cursor)
        gap_end, room = self._gap_end(text, cursor, numbers), self.length - 4
        middle = self.codec.symbols_of(text[cursor:gap_end], begun=False)
        while len(middle) > room // 2:
            gap_end -= (gap_end - cursor) // 2
            middle = self.codec.symbols_of(text[cursor:gap_end], begun=False)
        sides = text[max(0, cursor - self.span) : cursor], text[gap_end : gap_end + self.span]
        prefix, suffix = (self.codec.symbols_of(side, begun=False) for side in sides)
        suffix = suffix[: int(min(numbers[-1] * 1.5, 1) * AFTER * room)]  # at its largest share, or shorter
        prefix = prefix[max(0, len(prefix) - (room - len(middle) - len(suffix))) :]
        return arrange(prefix, suffix, middle, self.mark, suffix_first)

    def _plain(self, text: str, cursor: int) -> Tensor:
        """A passage from the beginning of a line; the end marker follows if the text ends, and no other text."""
        begin = text.rfind("\n", 0, max(0, min(cursor, len(text) - self.span // 2))) + 1
        row = self.codec.symbols_of(text[begin : begin + self.span], begun=False)
        if begin + self.span >= len(text):
            row = torch.cat([row, torch.tensor([self.mark["end"]])])
        return row[: self.length]

    @staticmethod
    def _gap_end(text: str, cursor: int, numbers: np.ndarray) -> int:
        """The end of a gap that begins at `cursor`."""
        if numbers[0] >= LINES:
            return min(len(text), cursor + 1 + int(numbers[1] * WIDEST))
        end = _line_end(text, cursor)
        for number in numbers[1:-1]:
            if number >= MORE_LINES or end >= len(text):
                break
            end = _line_end(text, end + 1)
        return end


def _line_end(text: str, place: int) -> int:
    found = text.find("\n", place)
    return len(text) if found < 0 else found
