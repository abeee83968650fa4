"""Data augmentation of drawings by mirroring and rotation.

The prompt names the augmentation, so that it does not leak into samples (Karras et al. 2022, appendix F.2).
"""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from septet.codecs.paths import Paths
from septet.modalities.drawing import BOX, Drawing
from septet.modalities.vector import arrange
from septet.space import Refusal

Move = Callable[[complex], complex]
MIDDLE = complex(BOX, BOX) / 2
TURNS: dict[str, Move] = {
    "mirrored": lambda point: BOX - point.conjugate(),
    "quarter-turned": lambda point: (point - MIDDLE) * 1j + MIDDLE,
    "half-turned": lambda point: 2 * MIDDLE - point,
    "back-turned": lambda point: (point - MIDDLE) * -1j + MIDDLE,
}


def turned(drawing: Drawing, turn: str) -> Drawing:
    """Applies one of TURNS to a drawing, and sorts its figures in the order that models are trained on."""
    move, flip = TURNS[turn], -1 if turn == "mirrored" else 1

    def moved(segment: tuple) -> tuple:
        kind, *values = segment
        return (kind, *(move(v) if isinstance(v, complex) else flip * v for v in values))

    figures = [replace(figure, segments=tuple(map(moved, figure.segments))) for figure in drawing.figures]
    return arrange(Drawing(tuple(figures)))


def turned_symbols(codec: Paths, symbols: Tensor, turn: str) -> Tensor | None:
    """The same for the symbols of an icon, (n,); None if the result is too long."""
    try:
        return codec.encode([turned(codec.decode(symbols[None])[0], turn)])[0]
    except Refusal:
        return None
