"""Drawings as SVG text: outlines of lines, circular arcs and cubics on a 24-unit box, in one colour.

Points are complex numbers, x + iy, y downwards.
"""

import cmath
import io
import json
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

import svgelements

from ..space import Refusal

BOX = 24.0
FAINT = 0.2  # the opacity of the second tone of two-tone drawings
MOST_BYTES = 1_000_000
MOST_ELEMENTS = 5_000
ACTIVE = ("script", "foreignobject", "iframe", "handler", "listener", "animate", "set")


@dataclass(frozen=True)
class Figure:
    """What one coat of paint covers. Segments: ("M", point), ("L", point), ("A", bulge, point), ("C", control, control,
    point) and ("Z",), absolute, in units of a 24 x 24 box. A bulge is tan(angle / 4) of a circular arc, positive where
    the arc runs clockwise on the screen. `width` is the pen's, 0 for no stroke; ends and joints are round."""

    segments: tuple[tuple, ...]
    fill: bool = True
    width: float = 0.0
    faint: bool = False
    evenodd: bool = True


@dataclass(frozen=True)
class Drawing:
    """A picture of outlines in one colour, on a 24 x 24 box."""

    figures: tuple[Figure, ...] = ()


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
        one, two = segment[1], segment[2]
        return [(1 - t) ** 3 * start + 3 * t * (1 - t) ** 2 * one + 3 * t * t * (1 - t) * two + t**3 * end for t in steps]
    return [start + (end - start) * t for t in steps]


def outlines(segments: tuple[tuple, ...]) -> list[list[tuple]]:
    """The segments cut into one list for each move."""
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


def _inspect(source: bytes) -> None:
    """Refuse what a drawing has no need of: entities, scripts, handlers; and what is not XML."""

    def entity(name, *_):
        raise Refusal(f"the SVG declares the entity {name!r}: remove the declaration and write its text out")

    def element(tag, attributes):
        name = tag.rpartition(":")[2].lower()
        if name.startswith(ACTIVE):
            raise Refusal(f"the SVG holds <{tag}>: only still drawings are read; remove it")
        for key, value in attributes.items():
            key = key.rpartition(":")[2].lower()
            if key.startswith("on") or (key == "href" and not value.startswith(("#", "data:image/"))):
                raise Refusal(f"the SVG holds {key}={value[:40]!r}: scripts and outside files are not read; remove it")

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = entity
    parser.StartElementHandler = element
    try:
        parser.Parse(source, True)
    except (expat.ExpatError, ValueError) as error:
        raise Refusal(f"not an SVG: {error}; expected XML with an <svg> element") from None


def _weigh(root: ElementTree.Element) -> None:
    """Refuse a tree that its <use> elements multiply beyond measure."""
    named = {e.get("id"): e for e in root.iter() if e.get("id")}
    weights: dict[int, int] = {}

    def weight(element: ElementTree.Element) -> int:
        if id(element) not in weights:
            weights[id(element)] = MOST_ELEMENTS + 1  # what an element that uses itself weighs
            total = 1 + sum(weight(child) for child in element)
            if str(element.tag).endswith("use"):
                link = element.get("href") or element.get("{http://www.w3.org/1999/xlink}href") or ""
                total += weight(named[link[1:]]) if link[1:] in named else 0
            weights[id(element)] = total
        return weights[id(element)]

    try:
        heavy = weight(root) > MOST_ELEMENTS
    except RecursionError:
        heavy = True
    if heavy:
        raise Refusal(f"the SVG holds over {MOST_ELEMENTS} elements, or elements that use themselves: simplify it")


def _elements(source: bytes) -> Iterator[Any]:
    """The shapes of an SVG, their transforms applied, scaled to the box."""
    if len(source) > MOST_BYTES:
        raise Refusal(f"the SVG holds {len(source)} bytes: at most {MOST_BYTES} are read; simplify it")
    _inspect(source)
    root = ElementTree.fromstring(source)
    if root.tag.rpartition("}")[2] != "svg":
        raise Refusal(f"the outermost element is <{root.tag.rpartition('}')[2]}>: expected <svg>")
    _weigh(root)
    if not root.get("viewBox"):
        sides = [svgelements.Length(root.get(side, "0")).value(ppi=96, relative_length=0) for side in ("width", "height")]
        if not all(isinstance(side, float | int) and side > 0 for side in sides):
            raise Refusal("the SVG states neither a viewBox nor its width and height: add viewBox='0 0 24 24'")
        root.set("viewBox", f"0 0 {sides[0]} {sides[1]}")
    root.set("width", str(BOX))
    root.set("height", str(BOX))
    if not root.tag.startswith("{"):
        root.set("xmlns", "http://www.w3.org/2000/svg")
    try:
        document = svgelements.SVG.parse(io.StringIO(ElementTree.tostring(root, encoding="unicode")), reify=True)
    except (ValueError, AttributeError, TypeError, IndexError, KeyError, ZeroDivisionError, RecursionError) as error:
        raise Refusal(f"the SVG's shapes cannot be read ({type(error).__name__}: {error}): export it as plain paths") from None
    for element in document.elements():
        if isinstance(element, svgelements.Shape) and element.values.get("visibility") not in ("hidden", "collapse"):
            yield element


def _number(values: dict, name: str) -> float:
    text = str(values.get(name) or "1")
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return 1.0


def _segments(path: Any) -> Iterator[tuple]:
    """svgelements' segments as ours: quadratics and elliptic arcs become cubics, circular arcs keep their circle."""
    closed_at = None
    for s in path:
        if isinstance(s, svgelements.Move):
            yield ("M", complex(s.end))
        elif isinstance(s, svgelements.Close):
            yield ("Z",)
        elif closed_at is not None:
            yield ("M", closed_at)  # what follows a close without a move starts where the closed outline did
        closed_at = complex(s.end) if isinstance(s, svgelements.Close) and s.end is not None else None
        if isinstance(s, svgelements.Move | svgelements.Close):
            continue
        if isinstance(s, svgelements.Line):
            yield ("L", complex(s.end))
        elif isinstance(s, svgelements.QuadraticBezier):
            control = complex(s.control)  # degree elevation: Farin, Curves and Surfaces, eq. 6.1
            yield ("C", (complex(s.start) + 2 * control) / 3, (complex(s.end) + 2 * control) / 3, complex(s.end))
        elif isinstance(s, svgelements.CubicBezier):
            yield ("C", complex(s.control1), complex(s.control2), complex(s.end))
        elif isinstance(s, svgelements.Arc) and s.sweep:
            radii = abs(complex(s.prx) - complex(s.center)), abs(complex(s.pry) - complex(s.center))
            if abs(radii[0] - radii[1]) > 2e-3 * max(radii):
                yield from _segments(s.as_cubic_curves())
            elif abs(s.sweep) > math.pi * 1.01:  # halves, since a bulge of a whole turn is infinite
                yield ("A", math.tan(s.sweep / 8), complex(s.point(0.5)))
                yield ("A", math.tan(s.sweep / 8), complex(s.end))
            else:
                yield ("A", math.tan(s.sweep / 4), complex(s.end))


def _paint(element: Any) -> dict[str, Any] | None:
    """The paint of one shape as Figure's fields; None where nothing is seen."""
    values = element.values
    seen = {side: str(values.get(side, "none")).strip().lower() not in ("none", "transparent") for side in ("fill", "stroke")}
    width = float(element.stroke_width or 0) if seen["stroke"] else 0.0
    if not seen["fill"] and not width > 0:
        return None
    side = "fill" if seen["fill"] else "stroke"
    opacity = _number(values, "opacity") * _number(values, f"{side}-opacity")
    if opacity < 0.02:
        return None
    rule = values.get("fill-rule") == "evenodd"
    return {"fill": seen["fill"], "width": width, "faint": opacity < 0.65, "evenodd": rule}


def parse_svg(source: bytes) -> Drawing:
    """The drawing in an SVG file's bytes, as its author ordered it. Text and bitmaps in it are passed over."""
    figures = []
    for element in _elements(source):
        paint = _paint(element)
        if paint is None:
            continue
        segments = tuple(_segments(svgelements.Path(element)))
        finite = all(cmath.isfinite(p) and abs(p) < 1e4 for s in segments for p in s[1:])
        if not finite:
            raise Refusal("the SVG holds coordinates far outside its box: scale it to its viewBox")
        if len(segments) > 1 or (segments and paint["width"]):
            figures.append(Figure(segments, **paint))
    if not figures:
        raise Refusal("the SVG holds no visible path: text, bitmaps and styles from outside are not read; convert to paths")
    return Drawing(tuple(figures))


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
            parts.append("h.01")  # a dot: a round pen that touches the paper once
        at = end
    return "".join(parts)


def to_svg(drawing: Drawing, record: dict[str, Any] | None = None) -> str:
    """A standalone SVG file in currentColor, with the record as JSON inside <metadata>."""
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24">']
    if record is not None:
        lines.append(f"<metadata>{escape(json.dumps(record, sort_keys=True))}</metadata>")
    for figure in drawing.figures:
        pen = ""
        if figure.width:
            pen = f' stroke="currentColor" stroke-width="{_text(figure.width)}" stroke-linecap="round" stroke-linejoin="round"'
        fill = "currentColor" if figure.fill else "none"
        rule = ' fill-rule="evenodd"' if figure.fill and figure.evenodd else ""
        faint = f' opacity="{FAINT}"' if figure.faint else ""
        lines.append(f'<path fill="{fill}"{rule}{pen}{faint} d="{_commands(figure.segments)}"/>')
    return "\n".join([*lines, "</svg>"]) + "\n"
