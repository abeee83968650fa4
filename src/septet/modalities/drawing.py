"""Drawings: outlines of lines, circular arcs and cubics on a 24-unit box; and their SVG text.

Points are complex numbers, x + iy, y downwards.
"""

import cmath
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

BOX = 24.0
ROUND = ' stroke-linecap="round" stroke-linejoin="round"'
FAINT = 0.2  # the opacity of the second tone of two-tone drawings


@dataclass(frozen=True)
class Figure:
    """A painted path. Segments: ("M", point), ("L", point), ("A", bulge, point), ("C", control, control, point) and
    ("Z",), absolute, in units of a 24 x 24 box. A bulge is tan(angle / 4) of a circular arc, positive where the arc
    runs clockwise on the screen. `width` is that of the stroke, 0 for none; ends and joints are round. `colour` is
    "#rrggbb", or None for currentColor."""

    segments: tuple[tuple, ...]
    fill: bool = True
    width: float = 0.0
    faint: bool = False
    evenodd: bool = True
    colour: str | None = None


@dataclass(frozen=True)
class Drawing:
    """Figures on a 24 x 24 box, each painted over those before it."""

    figures: tuple[Figure, ...] = ()


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of "#rrggbb", 0 to 255 each."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def nearest(colour: str, colours: Sequence[str]) -> str:
    """The most similar of `colours` by "redmean" (Riemersma 2019), a cheap approximation of CIELUV."""
    wanted = rgb(colour)

    def unlike(other: str) -> float:
        red, green, blue = (x - y for x, y in zip(wanted, rgb(other), strict=True))
        mean = wanted[0] - red / 2
        return (2 + mean / 256) * red**2 + 4 * green**2 + (2 + (255 - mean) / 256) * blue**2

    return min(colours, key=unlike)


def centre(start: complex, bulge: float, end: complex) -> complex:
    """The centre of an arc given by its bulge."""
    return (start + end) / 2 + (end - start) * 1j * (1 - bulge * bulge) / (4 * bulge)


def trace(start: complex, segment: tuple, count: int) -> list[complex]:
    """`count` points along a segment, evenly in its parameter, the last at its end."""
    end = segment[-1]
    steps = [(i + 1) / count for i in range(count)]
    if segment[0] == "A":
        middle, angle = centre(start, segment[1], end), 4 * math.atan(segment[1])
        return [middle + (start - middle) * cmath.exp(1j * angle * t) for t in steps]
    if segment[0] == "C":
        a, b, c, d = start, 3 * segment[1], 3 * segment[2], end
        return [(1 - t) ** 3 * a + t * (1 - t) ** 2 * b + t * t * (1 - t) * c + t**3 * d for t in steps]
    return [start + (end - start) * t for t in steps]


def outlines(segments: tuple[tuple, ...]) -> list[list[tuple]]:
    """Splits segments into one list per move."""
    parts: list[list[tuple]] = []
    for segment in segments:
        if segment[0] == "M" or not parts:
            parts.append([])
        parts[-1].append(segment)
    return parts


def bounds(outline: list[tuple]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of one outline."""
    points, at = [], 0j
    for segment in outline:
        if segment[0] != "Z":
            points += [segment[1]] if segment[0] == "M" else trace(at, segment, 1 if segment[0] == "L" else 8)
            at = segment[-1]
    return (
        min(p.real for p in points),
        min(p.imag for p in points),
        max(p.real for p in points),
        max(p.imag for p in points),
    )


def _text(value: float) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _commands(segments: tuple[tuple, ...]) -> str:
    """The `d` attribute of a path."""
    parts, at = [], 0j
    for n, segment in enumerate(segments):
        kind, end = segment[0], segment[-1]
        if kind == "Z":
            parts.append("Z")
            continue
        x_y = f"{_text(end.real)} {_text(end.imag)}"
        if kind == "A":
            radius = _text(abs(end - at) * (1 + segment[1] ** 2) / (4 * abs(segment[1])))
            parts.append(f"A{radius} {radius} 0 {int(abs(segment[1]) > 1)} {int(segment[1] > 0)} {x_y}")
        elif kind == "C":
            parts.append("C" + " ".join(f"{_text(p.real)} {_text(p.imag)}" for p in segment[1:]))
        elif kind == "L" and end.imag == at.imag and end != at:
            parts.append(f"H{_text(end.real)}")
        elif kind == "L" and end.real == at.real and end != at:
            parts.append(f"V{_text(end.imag)}")
        else:
            parts.append(f"{kind}{x_y}")
        if kind == "M" and (n + 1 == len(segments) or segments[n + 1][0] == "M"):
            parts.append("h.01")  # a dot: a line of almost no length, with round ends
        at = end
    return "".join(parts)


def to_svg(drawing: Drawing, record: dict[str, Any] | None = None) -> str:
    """A standalone SVG file, with the record as JSON inside <metadata>."""
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24">']
    if record is not None:
        lines.append(f"<metadata>{escape(json.dumps(record, sort_keys=True))}</metadata>")
    for figure in drawing.figures:
        colour = figure.colour or "currentColor"
        pen = f' stroke="{colour}" stroke-width="{_text(figure.width)}"{ROUND}' if figure.width else ""
        fill = colour if figure.fill else "none"
        rule = ' fill-rule="evenodd"' if figure.fill and figure.evenodd else ""
        faint = f' opacity="{FAINT}"' if figure.faint else ""
        lines.append(f'<path fill="{fill}"{rule}{pen}{faint} d="{_commands(figure.segments)}"/>')
    return "\n".join([*lines, "</svg>"]) + "\n"
