"""What stands at a cursor: drawn by a model of code, with what the project says already mixed in.

Shapes: V symbols.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..codecs.symbols import Symbols
from ..generator import Generator
from ..modalities.secrets import without_secrets
from ..processes.autoregressive import Autoregressive, arrange
from ..processes.decoding import Decoding
from ..processes.filters import Filter
from ..processes.requests import Request
from ..space import Refusal
from .index import Index

A_LINE, A_BLOCK = 40, 160  # symbols that are drawn at most
AFTER = 96  # symbols after the cursor that are read at most
STEADY = 8  # lines: what is read begins at a multiple of so many, and stays the same while a line is written
CHARACTERS = 6  # of a symbol at most, on average
MOST_CHARACTERS = 1_000_000  # of a file in the editor that its index takes
# How much the index is believed by the length of the run it found, in symbols: benchmarks/trust.py, made monotone.
TRUST = (0.0, 0.05, 0.17, 0.18, 0.24, 0.3, 0.31, 0.36, 0.41, 0.5, 0.5, 0.55, 0.55)
FLOOR = 0.2  # the chance below which nothing is said
TOKEN = re.compile(r"""\w+|"[^"\n]*"|'[^'\n]*'|\s+|.""", re.DOTALL)


@dataclass(frozen=True)
class Completion:
    """A text for the cursor, and the chance that the model gives its last line."""

    text: str
    chance: float


class Completer:
    """A model that fills gaps, and an index or none. Not for two threads at once."""

    def __init__(self, model: Generator, index: Index | None = None, bits: int = 32):
        process, codec = model.process, model.codec
        fills = isinstance(process, Autoregressive) and "spans" in process.known
        if not isinstance(process, Autoregressive) or not fills or not isinstance(codec, Symbols):
            raise Refusal(f"{model.name} cannot complete code: it was not trained to fill gaps; choose another model")
        self.codec, self.mark, self.index = codec, process.space.markers, index
        self.decoding = Decoding(process, rows=2, bits=bits)

    def complete(
        self,
        before: str,
        after: str,
        name: str | None = None,
        block: bool = False,
        floor: float = FLOOR,
        left: Callable[[], bool] = lambda: False,
    ) -> Completion | None:
        """The rest of the line between two texts, or with `block` the lines up to a shallower one, each as far as its
        chance stays above `floor`; None where nothing is left. `name` is the file's in the index, where what is open in
        the editor counts. Gives up between two steps when the asker has `left`."""
        if self.index is not None and name is not None:
            self.index.put(name, _beside(before, after, name))
        most = min(A_BLOCK if block else A_LINE, self.decoding.sites // 3)
        drawing = _Drawing(self, before, block, floor)
        request = Request(self.asked(before, after, most), torch.zeros(1), Filter(temperature=0), most)
        request.adjust = drawing.adjust
        self.decoding.admit(request)
        while not request.done:
            if left():
                self.decoding.drop(request)
                return None
            self.decoding.step()
            if not request.done and drawing.over(request.drawn):
                self.decoding.drop(request)
        return drawing.completion(request.drawn)

    def asked(self, before: str, after: str, most: int) -> Tensor:
        """(n,) symbols that ask for what is missing: suffix first, so that what is typed comes last and all that stands
        before it has been read already."""
        room = self.decoding.sites - most - 4
        suffix = self.codec.symbols_of(after[: AFTER * CHARACTERS], begun=False)[: min(AFTER, room // 3)]
        lines, total = before.rsplit("\n", room + STEADY), before.count("\n") + 1
        first, line = max(0, total - room) // STEADY * STEADY - (total - len(lines)), lines.pop()
        spare = room - len(suffix) - A_LINE  # for the lines above, whatever is written in this one
        while first < len(lines):
            above = "\n".join(lines[first:])
            if len(above) <= CHARACTERS * room and len(self.codec.symbols_of(above, begun=False)) <= spare:
                break
            first += STEADY
        text = "\n".join([*lines[first:], line[-CHARACTERS * room :]])
        prefix = self.codec.symbols_of(text, begun=False)
        prefix = prefix[max(0, len(prefix) - (room - len(suffix))) :]
        return arrange(prefix, suffix, prefix[:0], self.mark, suffix_first=True)[:-1]


class _Drawing:
    """One completion while it is drawn: the index mixed in, and how likely each symbol was."""

    def __init__(self, completer: Completer, before: str, block: bool, floor: float):
        self.index, self.codec, self.before = completer.index, completer.codec, before
        self.block, self.floor = block, floor
        self.chances: list[float] = []  # of the symbols drawn

    def adjust(self, scores_V: Tensor, drawn: list[int]) -> None:
        chance_V = scores_V.softmax(-1)
        if self.index is not None:
            found = self.index.after(self.before + self._text(drawn))
            if found.followers:
                trust = TRUST[min(found.length, len(TRUST) - 1)]
                followers = torch.tensor(list(found.followers))
                counts = torch.tensor(list(found.followers.values()), dtype=torch.float32)
                chance_V = chance_V * (1 - trust)
                chance_V[followers] += trust * counts / counts.sum()
        self.chances.append(float(chance_V.max()))
        scores_V.copy_(chance_V.log())

    def over(self, drawn: list[int]) -> bool:
        """Whether what was drawn goes beyond what is wanted, or has become unlikely."""
        text = self._text(drawn)
        return len(self._wanted(text)) < len(text) or self._likely(drawn)[0] < len(drawn)

    def completion(self, drawn: list[int]) -> Completion | None:
        """What is wanted of it, back to where it is likely, and to the end of a token."""
        wanted = self._wanted(self._text(drawn))
        count, chance = self._likely(drawn)
        text = self._text(drawn[:count])
        if not text.startswith(wanted):
            border = max((m.end() for m in TOKEN.finditer(wanted) if m.end() <= len(text)), default=0)
            wanted = wanted[:border].rstrip()
        return Completion(wanted, chance) if wanted.strip() else None

    def _text(self, drawn: list[int]) -> str:
        return self.codec.text_of(torch.tensor(drawn, dtype=torch.int64))

    def _likely(self, drawn: list[int]) -> tuple[int, float]:
        """How many symbols come before the chance of their line falls below the floor, and the chance there."""
        chance = 1.0
        for count, (symbol, one) in enumerate(zip(drawn, self.chances, strict=True)):
            begun = 1.0 if "\n" in self._text([symbol]) else chance
            if begun * one < self.floor:
                return count, chance
            chance = begun * one
        return len(drawn), chance

    def _wanted(self, text: str) -> str:
        """Up to the end of the line; of a block, up to a line that is shallower than that of the cursor, or to a second
        empty one."""
        if not self.block:
            return text.partition("\n")[0]
        depth = _depth(self.before[self.before.rfind("\n") + 1 :])
        first, *lines = text.split("\n")
        kept = [first]
        for number, line in enumerate(lines, 1):
            going_on = number == len(lines)  # its end has not been drawn
            shallow = _depth(line) < depth if line.strip() else not going_on and not kept[-1].strip()
            if shallow:
                break
            kept.append(line)
        return "\n".join(kept)


def _beside(before: str, after: str, name: str) -> str | None:
    """A file without the line of the cursor and without secrets; None where it is too large."""
    if len(before) + len(after) > MOST_CHARACTERS:
        return None
    return without_secrets(before[: before.rfind("\n") + 1] + after.partition("\n")[2], name)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
