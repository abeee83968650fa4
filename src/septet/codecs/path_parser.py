"""Decodes tokens to a drawing; accepts any sequence of tokens."""

import math
from typing import TYPE_CHECKING, Any

from ..modalities.drawing import BOX, Drawing, Figure

if TYPE_CHECKING:
    from .paths import Paths

MARKERS = ("end", "prefix", "suffix", "middle")


class Reader:
    """Decodes one sequence of tokens; invalid ones are skipped."""

    def __init__(self, codec: "Paths", symbols: list[int]):
        self.codec, self.symbols, self.n = codec, symbols, 0
        self.figures: list[Figure] = []
        self.segments: list[tuple] = []
        self.paint: tuple | None = None
        self.colour: str | None = None
        self.at: complex | None = None  # None before the start of an outline

    def take(self, axes: str) -> list[float] | None:
        """Reads the next tokens as coordinates along these axes; None if they are not."""
        values = []
        for i, axis in enumerate(axes):
            first = self.codec.x if axis == "x" else self.codec.y
            value = self.symbols[self.n + i] - first if self.n + i < len(self.symbols) else -1
            if not 0 <= value <= self.codec.grid:
                return None
            values.append(value * BOX / self.codec.grid)
        self.n += len(axes)
        return values

    def drawing(self) -> Drawing:
        names = self.codec.names
        while self.n < len(self.symbols):
            symbol = self.symbols[self.n]
            if symbol < 0 or symbol == self.codec.index["end"]:
                break
            if symbol < len(names):
                self.n += 1
                if not self.operate(names[symbol]):  # skip its coordinates too
                    while self.n < len(self.symbols) and self.symbols[self.n] >= len(names):
                        self.n += 1
                continue
            across, down = self.take("x"), self.take("y")
            if across is None and down is None:
                self.n += 1  # not a token of the codec
            elif self.at is not None and across:
                self.add("L", complex(across[0], self.at.imag))
            if self.at is not None and down:
                self.add("L", complex(self.at.real, down[0]))
        self.finish()
        return Drawing(tuple(self.figures))

    def add(self, kind: str, *values) -> bool:
        if kind != "C" and values[-1] == self.at:
            return True  # has no length
        self.segments.append((kind, *values))
        self.at = values[-1]
        return True

    def operate(self, name: Any) -> bool:
        """Applies one operation; returns whether it was valid."""
        if isinstance(name, tuple) or name == "move":
            return self.start(name)
        at = self.at
        if at is None or name in MARKERS:
            return False
        if name == "close":
            if self.segments and self.segments[-1][0] not in "MZ" and self.paint and self.paint[1]:
                self.segments.append(("Z",))
                self.at = None
            return True
        if name == "circle":
            values = self.take("x")
            if values is None or values[0] == at.real:
                return False
            end = complex(values[0], at.imag)
            self.segments += [("A", 1.0, end), ("A", 1.0, at), ("Z",)]
            self.at = None
            return True
        if isinstance(name, str) and name.startswith("quarter"):
            values = self.take("x")
            if values is None:
                return False
            down = abs(values[0] - at.real) * (1 if name[-1] == "+" else -1)
            turn = math.tan(math.pi / 8) * (1 if name[-2] == "+" else -1)
            return self.add("A", turn, complex(values[0], at.imag + down))
        values = self.take("xyxyxy" if name == "cubic" else "xy")
        if values is None:
            return False
        points = [complex(*values[i : i + 2]) for i in range(0, len(values), 2)]
        if name == "line":
            return self.add("L", *points)
        return (
            self.add("C", *points)
            if name == "cubic"
            else self.add("A", math.tan(math.radians(float(name)) / 4), *points)
        )

    def start(self, name: Any) -> bool:
        """Starts an outline; a paint also starts a figure."""
        if name != "move":
            self.finish()
            self.paint = name
            self.take_ink()
        elif self.paint is None:
            return False
        else:
            self.close_fill()
        values = self.take("xy")
        self.at = None if values is None else complex(*values)
        if self.at is not None:
            self.segments.append(("M", self.at))
        return values is not None

    def take_ink(self) -> None:
        """Reads the next token if it is a colour; else the colour is unchanged."""
        ink = self.symbols[self.n] - self.codec.ink if self.n < len(self.symbols) else -1
        if 0 <= ink < len(self.codec.inks):
            self.colour = self.codec.inks[ink]
            self.n += 1

    def close_fill(self) -> None:
        """Closes a filled outline, or removes it if it covers nothing."""
        if self.paint and not self.paint[1]:
            while self.segments and self.segments[-1][0] == "M":
                self.segments.pop()
            if self.segments and self.segments[-1][0] != "Z":
                self.segments.append(("Z",))

    def finish(self) -> None:
        self.close_fill()
        if self.paint and self.segments:
            fill, width, faint, evenodd = self.paint
            self.figures.append(Figure(tuple(self.segments), fill, width, faint, evenodd, self.colour))
        self.segments, self.at = [], None
