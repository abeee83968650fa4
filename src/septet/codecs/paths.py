"""Tokenises drawings to short sequences: lines, quarter turns, arcs, circles and cubics on a grid.

Shapes: B drawings, N tokens.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..contracts import Codec
from ..modalities.drawing import BOX, Drawing, Figure, nearest, outlines
from ..space import PADDING, Known, Refusal, Space
from .arcs import DEGREES, shorten
from .path_parser import MARKERS, Reader

WIDTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # of the stroke; 0 is a fill without a stroke
WORDS = ("close", "move", "line", "cubic", "circle", "quarter++", "quarter+-", "quarter-+", "quarter--")
PAINTS = tuple(
    (fill, width, faint, evenodd)
    for fill in (True, False)
    for width in WIDTHS
    for faint in (False, True)
    for evenodd in ((True, False) if fill else (True,))
    if fill or width
)


class Paths(Codec):
    """Encodes a drawing to tokens, int64 (B, N), and decodes any tokens to a drawing.

    A figure is a paint token and the x and y of its start; then an x alone is a horizontal line, a y alone a vertical
    one, "line" x y any other line, a quarter turn and x an arc with equal sides, an angle and x y any other arc,
    "circle" x a circle. Fills are closed implicitly. The box has `grid` steps a side. `encode` raises Refusal for more
    than `length` tokens. With `colours` ("#rrggbb"), each paint is followed by the nearest of them or by a token for
    no colour; without, colours are dropped.
    """

    def __init__(self, grid: int = 192, length: int = 320, colours: Sequence[str] = ()):
        super().__init__()
        if not 16 <= grid <= 1024 or length < 16:
            raise Refusal(f"grid={grid}, length={length}: expected grid from 16 to 1024 and length of at least 16")
        self.grid, self.length = grid, length
        names = [*MARKERS, *WORDS, *PAINTS, *DEGREES, *(-d for d in DEGREES)]
        self.names: list = names
        self.index = {name: n for n, name in enumerate(names)}
        self.x, self.y = len(names), len(names) + grid + 1
        self.colours = list(colours)
        self.inks = [None, *colours] if colours else []
        self.ink = self.y + grid + 1
        markers = {name: self.index[name] for name in MARKERS}
        self.space = Space((length,), symbols=self.ink + len(self.inks), markers=markers)

    @classmethod
    def tiny(cls) -> "Paths":
        return cls(grid=48, length=64)

    def _ink(self, colour: str | None) -> int:
        """The token of the most similar colour."""
        return self.ink + self.inks.index(colour and nearest(colour, self.colours))

    def _point(self, point: complex) -> list[int]:
        return [self.x + round(point.real), self.y + round(point.imag)]

    def _segment(self, at: complex, segment: tuple) -> list[int]:
        kind, end = segment[0], segment[-1]
        across, down = end.real - at.real, end.imag - at.imag
        if kind == "O":
            return [self.index["circle"], self.x + round(end.real)]
        if kind == "C":
            return [self.index["cubic"], *(n for point in segment[1:] for n in self._point(point))]
        if kind == "A" and abs(segment[1]) == 90 and abs(across) == abs(down):
            name = f"quarter{'+' if segment[1] > 0 else '-'}{'+' if down > 0 else '-'}"
            return [self.index[name], self.x + round(end.real)]
        if kind == "A":
            return [self.index[segment[1]], *self._point(end)]
        if not down:
            return [self.x + round(end.real)]
        return [self.y + round(end.imag)] if not across else [self.index["line"], *self._point(end)]

    def _figure(self, figure: Figure) -> list[int]:
        width = min(WIDTHS[1:], key=lambda w: abs(w - figure.width)) if figure.width else 0.0
        start = self.index[(figure.fill, width, figure.faint, figure.evenodd or not figure.fill)]
        symbols = []
        for outline in outlines(figure.segments):
            scale = self.grid / BOX
            scaled = [(s[0], *(v if isinstance(v, float) else v * scale for v in s[1:])) for s in outline]
            closed = figure.fill or outline[-1][0] == "Z"
            short = shorten(scaled, self.grid, closed, directed=figure.fill and not figure.evenodd)
            if not width and len(short) < 3 and short[-1][0] in "ML":
                continue  # covers nothing
            symbols += [self.index["move"]] if symbols else [start, *([self._ink(figure.colour)] if self.inks else [])]
            symbols += self._point(short[0][1])
            for before, segment in pairwise(short):
                symbols += self._segment(before[-1], segment)
            if width and closed and short[-1][0] != "O" and len(short) > 1:
                symbols.append(self.index["close"])
        return symbols

    def symbols_of(self, drawing: Drawing) -> Tensor:
        """int64 (n,): all tokens of a drawing, without the end token and not limited by `length`."""
        return torch.tensor([n for figure in drawing.figures for n in self._figure(figure)], dtype=torch.int64)

    def encode_known(self, given: Drawing, where: int | None = None) -> Known:
        """A drawing to continue; with `where`, one with a gap after its first `where` figures."""
        if where is None:
            return Known(spans=((self.symbols_of(given),),))
        if not 0 <= where <= len(given.figures):
            raise Refusal(f"where={where}: expected a number of figures before the gap, from 0 to {len(given.figures)}")
        parts = given.figures[:where], given.figures[where:]
        return Known(spans=(tuple(self.symbols_of(Drawing(part)) for part in parts),))

    def encode(self, data: Sequence[Drawing]) -> Tensor:
        """int64 (B, N): tokens, the end token, then PADDING. Raises Refusal for more than `length` tokens."""
        end = torch.tensor([self.index["end"]])
        rows = [torch.cat([self.symbols_of(drawing), end]) for drawing in data]
        longest = max((len(row) for row in rows), default=0)
        if longest > self.length:
            raise Refusal(
                f"a drawing of {longest} tokens: expected at most {self.length}; simplify it, or raise length"
            )
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PADDING)

    def decode(self, latents: Tensor) -> list[Drawing]:
        """Drawings for any (B, N) tokens: invalid tokens are skipped, and all after the end token is ignored."""
        return [Reader(self, [int(n) for n in row]).drawing() for row in latents]
