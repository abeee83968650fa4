"""Parses SVG files to drawings: shapes, groups and transforms are flattened; scripts and animations are refused."""

import io
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from itertools import dropwhile
from typing import Any
from xml.parsers import expat

import svgelements

from ..space import Refusal
from .drawing import BOX, Drawing, Figure
from .paints import CURRENT, coloured_paints, gradients, plain_paint
from .sheets import OUTLINES, XLINK, clear

NAMESPACE = "http://www.w3.org/2000/svg"
MOST_BYTES = 1_000_000
MOST_ELEMENTS = 5_000
MOST_SEGMENTS = 5_000
FARTHEST = 10 * BOX  # distance of a point from the corner; far beyond, the renderer aborts the process
ACTIVE = ("script", "foreignobject", "iframe", "handler", "listener", "animate", "set")


def _inspect(source: bytes) -> None:
    """Raises Refusal for entities, scripts, event handlers and external links, and if the source is not XML."""

    def entity(name, *_):
        raise Refusal(f"the SVG declares the entity {name!r}: replace it by its text, and remove the declaration")

    def element(tag, attributes):
        name = tag.rpartition(":")[2].lower()
        if name.startswith(ACTIVE):
            raise Refusal(f"the SVG contains <{tag}>: scripts and animations are not supported; remove it")
        for key, value in attributes.items():
            key = key.rpartition(":")[2].lower()
            if key.startswith("on") or (key == "href" and not value.startswith(("#", "data:image/"))):
                raise Refusal(
                    f"the SVG contains {key}={value[:40]!r}: scripts and outside files are not read; remove it"
                )

    parser = expat.ParserCreate(namespace_separator=":")
    parser.EntityDeclHandler = entity
    parser.StartElementHandler = element
    try:
        parser.Parse(source, True)
    except (expat.ExpatError, ValueError) as error:
        raise Refusal(f"not an SVG: {error}; expected XML with an <svg> element") from None


def _weigh(root: ElementTree.Element) -> None:
    """Raises Refusal for a tree that would take too long to parse: <use> elements copy what they name, and inherited
    attributes count once per descendant."""
    named = {e.get("id"): e for e in root.iter() if e.get("id")}
    weights: dict[int, tuple[int, int, int]] = {}

    def weight(element: ElementTree.Element) -> tuple[int, int, int]:
        """Counts of elements, characters, and letters in path data."""
        if id(element) not in weights:
            weights[id(element)] = MOST_ELEMENTS + 1, 0, 0  # the weight of an element that uses itself
            below = [weight(child) for child in element]
            if element.tag.endswith("use"):
                link = element.get("href") or element.get(XLINK) or ""
                below += [weight(named[link[1:]])] if link[1:] in named else []
            elements, characters, letters = (sum(parts) for parts in zip((1, 0, 0), *below, strict=True))
            outline = "".join(element.get(name, "") for name in OUTLINES)
            handed_down = sum(len(value) for name, value in element.attrib.items() if name not in OUTLINES)
            letters += sum(map(outline.count, "MmZzLlHhVvCcSsQqTtAa"))
            weights[id(element)] = elements, characters + len(outline) + elements * handed_down, letters
        return weights[id(element)]

    try:
        elements, characters, letters = weight(root)
    except RecursionError:
        elements, characters, letters = MOST_ELEMENTS + 1, 0, 0
    if elements > MOST_ELEMENTS:
        raise Refusal(f"the SVG has over {MOST_ELEMENTS} elements, or elements that use themselves: simplify it")
    if letters > MOST_SEGMENTS:
        raise Refusal(f"the SVG has over {MOST_SEGMENTS} segments: simplify it")
    if characters > MOST_BYTES:
        raise Refusal(f"the SVG, with its <use> elements expanded, has over {MOST_BYTES} characters: simplify it")


def _store(root: ElementTree.Element) -> None:
    """Moves <symbol> elements into <defs>, as groups, for <use> elements."""
    space = root.tag.rpartition("svg")[0]
    definitions = ElementTree.Element(f"{space}defs")
    for parent in list(root.iter()):
        symbols = [child for child in parent if child.tag == f"{space}symbol"]
        if symbols:
            parent[:] = [child for child in parent if child.tag != f"{space}symbol"]
            definitions.extend(symbols)
    for symbol in definitions:
        symbol.tag = f"{space}g"
    root.insert(0, definitions)


def _length(text: str | None) -> float:
    """A side in pixels; 0 if it is not in absolute units."""
    try:
        value = svgelements.Length(text or "0").value(ppi=96, relative_length=0)
    except (ValueError, TypeError):
        return 0.0
    return value if isinstance(value, float) and math.isfinite(value) else 0.0


def _shapes(root: ElementTree.Element) -> Iterator[Any]:
    """The visible shapes of an SVG, scaled to the box."""
    if not root.get("viewBox"):
        width, height = (_length(root.get(side)) for side in ("width", "height"))
        if not width or not height:
            raise Refusal("the SVG has neither a viewBox nor a width and height: add viewBox='0 0 24 24'")
        root.set("viewBox", f"0 0 {width} {height}")
    root.set("width", str(BOX))
    root.set("height", str(BOX))
    if root.tag == "svg":
        root.set("xmlns", NAMESPACE)
    text = io.StringIO(ElementTree.tostring(root, encoding="unicode"))
    document: Any = svgelements.SVG.parse(text, reify=True, color=CURRENT)
    for element in document.elements():
        values: Any = element.values
        if isinstance(element, svgelements.Shape) and values.get("visibility") not in ("hidden", "collapse"):
            yield element


def _segments(path: Any) -> Iterator[tuple]:
    """Converts segments of svgelements: quadratics and elliptic arcs to cubics, circular arcs to bulges."""
    opening = None  # the start of the next outline, unless there is a move
    for s in path:
        end = complex(s.end) if s.end is not None else 0j
        if type(s).__name__ == "Move":
            opening = None
            yield ("M", end)
        elif type(s).__name__ == "Close":
            opening = end
            yield ("Z",)
        else:
            if opening is not None:
                yield ("M", opening)
                opening = None
            yield from _drawn(s, end)


def _drawn(s: Any, end: complex) -> Iterator[tuple]:
    """Converts one segment that is not a move or close."""
    kind, start = type(s).__name__, complex(s.start)
    if kind == "QuadraticBezier":
        control = complex(s.control)  # degree elevation: Farin, Curves and Surfaces, eq. 6.1
        yield ("C", (start + 2 * control) / 3, (end + 2 * control) / 3, end)
    elif kind == "CubicBezier":
        yield ("C", complex(s.control1), complex(s.control2), end)
    elif kind == "Arc" and abs(s.sweep) > 1e-3:
        radii = abs(complex(s.prx) - complex(s.center)), abs(complex(s.pry) - complex(s.center))
        if abs(radii[0] - radii[1]) > 2e-3 * max(radii):
            yield from _segments(s.as_cubic_curves(math.ceil(abs(s.sweep) * 2 / math.pi - 0.01)))
        elif abs(s.sweep) > math.pi * 1.01:  # two halves, since the bulge of a full circle is infinite
            middle = s.point(0.5)
            yield ("A", math.tan(s.sweep / 8), complex(float(middle.x), float(middle.y)))
            yield ("A", math.tan(s.sweep / 8), end)
        else:
            yield ("A", math.tan(s.sweep / 4), end)
    else:
        yield ("L", end)


def _figures(source: bytes, coloured: bool) -> Iterator[Figure]:
    """The figures of an SVG in document order."""
    root, count = ElementTree.fromstring(source), 0
    if root.tag not in ("svg", f"{{{NAMESPACE}}}svg"):
        raise Refusal(f"the outermost element is <{root.tag}>: expected <svg xmlns='{NAMESPACE}'>")
    clear(root)
    _store(root)
    _weigh(root)
    means = gradients(root) if coloured else {}
    for shape in _shapes(root):
        paints = list(coloured_paints(shape, means) if coloured else plain_paint(shape))
        if not paints:
            continue
        drawn = _segments(svgelements.Path(shape).reify())
        segments = tuple(dropwhile(lambda segment: segment[0] != "M", drawn))
        count += len(segments)
        if count > MOST_SEGMENTS:
            raise Refusal(f"the SVG has over {MOST_SEGMENTS} segments: simplify it")
        for paint in paints:
            if not all(abs(p) < FARTHEST for s in segments for p in s[1:]) or not paint["width"] < BOX:
                raise Refusal(
                    "the SVG has coordinates far outside its viewBox, or a stroke as wide: scale it to its viewBox"
                )
            if len(segments) > 1 or (segments and paint["width"]):
                yield Figure(segments, **paint)


def parse_svg(source: bytes, coloured: bool = False) -> Drawing:
    """Parses the bytes of an SVG file to a drawing with its figures in document order, in one colour unless `coloured`.
    Gradients are replaced by their mean colour; text and bitmaps are skipped. Raises Refusal if it cannot be parsed."""
    if len(source) > MOST_BYTES:
        raise Refusal(f"the SVG has more than {MOST_BYTES} bytes: simplify it, or remove its bitmaps")
    _inspect(source)
    try:
        figures = tuple(_figures(source, coloured))
    except Refusal:
        raise
    except (ValueError, AttributeError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        # svgelements does not validate: a damaged number or path can raise any of these
        raise Refusal(f"the SVG's shapes cannot be parsed ({type(error).__name__}): export it as plain paths") from None
    if not figures:
        raise Refusal("the SVG has no visible path: text and bitmaps are skipped; convert them to paths")
    return Drawing(figures)
