"""One completion while it is generated: regenerates the partial word before the cursor, mixes in counts from the index
and finds the end.

Shapes: V symbols.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..codecs.symbols import Symbols
from .index import BEGUN, Index

# Weight of the index in the mixture by the length of its match in tokens: measured by benchmarks/trust.py, monotone.
TRUST = (0.0, 0.01, 0.13, 0.21, 0.27, 0.35, 0.35, 0.5, 0.5, 0.58, 0.58, 0.75, 0.79)
TOKEN = re.compile(r"""\w+|"[^"\n]*"|'[^'\n]*'|\s+|.""", re.DOTALL)


@dataclass(frozen=True)
class Completion:
    """A text to insert at the cursor, and the model's probability of its last line."""

    text: str
    chance: float


class Drawing:
    """A completion in progress. The model reads `before`, the text up to the cursor, without the space or partial word
    at its end (`begun`), which is generated again under the constraint that it stays the same: tokens of whole words do
    not start inside a word. `pieces` are the texts of all tokens."""

    def __init__(
        self, codec: Symbols, index: Index | None, before: str, pieces: Sequence[str], block: bool, floor: float
    ):
        self.codec, self.index, self.pieces, self.block, self.floor = codec, index, pieces, block, floor
        found = BEGUN.search(before)
        self.begun = found.group() if found else ""
        self.read, self.line = before[: len(before) - len(self.begun)], before[before.rfind("\n") + 1 :]
        self.chances: list[float] = []  # probabilities of the generated tokens

    def adjust(self, scores_V: Tensor, drawn: list[int]) -> None:
        chance_V, text = scores_V.softmax(-1), self._text(drawn)
        if self.index is not None:
            found = self.index.after(self.read + text)
            if found.followers:
                trust = TRUST[min(found.length, len(TRUST) - 1)]
                followers = torch.tensor(list(found.followers))
                counts = torch.tensor(list(found.followers.values()), dtype=torch.float32)
                chance_V = chance_V * (1 - trust)
                chance_V[followers] += trust * counts / counts.sum()
        chance_V = self._as_begun(chance_V, self.begun[len(text) :])
        self.chances.append(float(chance_V.max()))
        scores_V.copy_(chance_V.log())

    def _as_begun(self, chance_V: Tensor, rest: str) -> Tensor:
        """Probabilities restricted to tokens that agree with `rest`, the remainder of the partial word; unchanged if no
        token does."""
        if not rest:
            return chance_V
        agree = [
            n for n, piece in enumerate(self.pieces) if piece and (piece.startswith(rest) or rest.startswith(piece))
        ]
        kept_V = torch.zeros_like(chance_V)
        kept_V[agree] = chance_V[agree]
        total = kept_V.sum()
        return kept_V / total if total > 0 else chance_V

    def over(self, drawn: list[int]) -> bool:
        """Whether the generated tokens reach beyond the end of the completion, or have become unlikely."""
        text = self._text(drawn)
        return len(self._wanted(text)) < len(text) or self._likely(drawn)[0] < len(drawn)

    def completion(self, drawn: list[int]) -> Completion | None:
        """The completion, cut to its likely part and there to the end of a word; None if nothing remains."""
        wanted = self._wanted(self._text(drawn))
        count, chance = self._likely(drawn)
        text = self._text(drawn[:count])
        if not text.startswith(wanted):
            border = max((m.end() for m in TOKEN.finditer(wanted) if m.end() <= len(text)), default=0)
            wanted = wanted[:border].rstrip()
            wanted = wanted.rpartition("\n")[0] or wanted  # whole lines only, if there are several
        offered = wanted[len(self.begun) :] if wanted.startswith(self.begun) else ""
        return Completion(offered, chance) if offered.strip() else None

    def _text(self, drawn: list[int]) -> str:
        return self.codec.text_of(torch.tensor(drawn, dtype=torch.int64))

    def _likely(self, drawn: list[int]) -> tuple[int, float]:
        """The number of tokens before their line's probability falls below the floor, and the probability there."""
        chance = 1.0
        for count, (symbol, one) in enumerate(zip(drawn, self.chances, strict=True)):
            before = 1.0 if symbol < len(self.pieces) and "\n" in self.pieces[symbol] else chance
            if before * one < self.floor:
                return count, chance
            chance = before * one
        return len(drawn), chance

    def _wanted(self, text: str) -> str:
        """The part of `text` that belongs to the completion: up to the end of the line, or for a block, up to a line
        that is indented less than the cursor's, a second empty line or a repeated line."""
        if not self.block:
            return text.partition("\n")[0]
        depth = _depth(self.line)
        first, *lines = text.split("\n")
        kept = [first]
        for number, line in enumerate(lines, 1):
            unfinished = number == len(lines)  # its end has not been generated
            shallow = _depth(line) < depth if line.strip() else not unfinished and not kept[-1].strip()
            again = line.strip() and not unfinished and line.strip() == kept[-1].strip()
            if shallow or again:
                break
            kept.append(line)
        return "\n".join(kept)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
