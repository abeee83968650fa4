"""Completes code at a cursor with a model that fills gaps, mixed with counts from the project's own files."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..codecs.symbols import Symbols
from ..generator import Generator
from ..modalities.secrets import without_secrets
from ..processes.autoregressive import Autoregressive
from ..processes.continuations import Continuation
from ..processes.decoding import Decoding
from ..processes.filters import Filter
from ..processes.gaps import arrange
from ..space import Refusal
from .drawing import Completion, Drawing
from .index import Index

A_LINE, A_BLOCK = 40, 160  # most tokens that are generated for a line, for a block
AFTER = 96  # most tokens after the cursor that the model reads
STEADY = 8  # the context begins at a line number divisible by this, so that cached keys and values stay valid
CHARACTERS = 6  # upper bound on the mean number of characters per token
MOST_CHARACTERS = 1_000_000  # larger files in the editor are not indexed
FLOOR = 0.2  # least probability of a completion that is offered


class Completer:
    """Completes code with a model that was trained to fill gaps, and optionally an index. Not thread-safe."""

    def __init__(self, model: Generator, index: Index | None = None, bits: int = 32):
        process, codec = model.process, model.codec
        fills = isinstance(process, Autoregressive) and "spans" in process.supports
        if not isinstance(process, Autoregressive) or not fills or not isinstance(codec, Symbols):
            raise Refusal(f"{model.name} cannot complete code: it was not trained to fill gaps; choose another model")
        self.codec, self.mark, self.index = codec, process.space.markers, index
        self.pieces = codec.pieces_of(range(codec.plain))
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
        """Completes the line between `before` and `after`, or with `block` all lines up to one that is indented less.

        The completion is cut where its probability falls below `floor`; None if nothing remains. `name` is the name of
        the file in the index, which is updated to the text in the editor. Generation stops when `left` returns True.
        """
        if name is not None:
            self.opened(before, after, name)
        most = min(A_BLOCK if block else A_LINE, self.decoding.sites // 3)
        drawing = Drawing(self.codec, self.index, before, self.pieces, block, floor)
        request = Continuation(self.asked(drawing.read, after, most), torch.zeros(1), Filter(temperature=0), most)
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

    def opened(self, before: str, after: str, name: str) -> None:
        """Updates a file in the index to the text around the cursor, without the cursor's line and without secrets. A
        file that is too large is removed from the index."""
        if self.index is None:
            return
        if len(before) + len(after) > MOST_CHARACTERS:
            self.index.put(name, None)
            return
        self.index.put(name, without_secrets(before[: before.rfind("\n") + 1] + after.partition("\n")[2], name))

    def asked(self, before: str, after: str, most: int) -> Tensor:
        """(n,) tokens of the fill-in-the-middle prompt. The suffix comes first, so that typed text is appended at the
        end and the cache of all tokens before it can be reused."""
        room = self.decoding.sites - most - 4
        suffix = self.codec.symbols_of(after[: AFTER * CHARACTERS], begun=False)[: min(AFTER, room // 3)]
        lines, total = before.rsplit("\n", room + STEADY), before.count("\n") + 1
        first, line = max(0, total - room) // STEADY * STEADY - (total - len(lines)), lines.pop()
        spare = room - len(suffix) - A_LINE  # for the lines above, independent of the length of the cursor's line
        while first < len(lines):
            above = "\n".join(lines[first:])
            if len(above) <= CHARACTERS * room and len(self.codec.symbols_of(above, begun=False)) <= spare:
                break
            first += STEADY
        text = "\n".join([*lines[first:], line[-CHARACTERS * room :]])
        prefix = self.codec.symbols_of(text, begun=False)
        prefix = prefix[max(0, len(prefix) - (room - len(suffix))) :]
        return arrange(prefix, suffix, prefix[:0], self.mark, suffix_first=True)[:-1]
