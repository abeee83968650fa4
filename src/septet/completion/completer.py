"""What stands at a cursor: drawn by a model of code, with what the project says already mixed in."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..codecs.symbols import Symbols
from ..generator import Generator
from ..modalities.secrets import without_secrets
from ..processes.autoregressive import Autoregressive, arrange
from ..processes.continuations import Continuation
from ..processes.decoding import Decoding
from ..processes.filters import Filter
from ..space import Refusal
from .drawing import Completion, Drawing
from .index import Index

A_LINE, A_BLOCK = 40, 160  # symbols that are drawn at most
AFTER = 96  # symbols after the cursor that are read at most
STEADY = 8  # lines: what is read begins at a multiple of so many, and stays the same while a line is written
CHARACTERS = 6  # of a symbol at most, on average
MOST_CHARACTERS = 1_000_000  # of a file in the editor that its index takes
FLOOR = 0.2  # the chance below which nothing is said


class Completer:
    """A model that fills gaps, and an index or none. Not for two threads at once."""

    def __init__(self, model: Generator, index: Index | None = None, bits: int = 32):
        process, codec = model.process, model.codec
        fills = isinstance(process, Autoregressive) and "spans" in process.known
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
        """The rest of the line between two texts, or with `block` the lines up to a shallower one, each as far as its
        chance stays above `floor`; None where nothing is left. `name` is the file's in the index, where what is open in
        the editor counts. Gives up between two steps when the asker has `left`."""
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
        """Let the index hold a file as it is around a cursor, without the cursor's line and without secrets; one that
        is too large is left out."""
        if self.index is None:
            return
        if len(before) + len(after) > MOST_CHARACTERS:
            self.index.put(name, None)
            return
        self.index.put(name, without_secrets(before[: before.rfind("\n") + 1] + after.partition("\n")[2], name))

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
