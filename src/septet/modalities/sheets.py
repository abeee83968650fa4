"""Cleans SVG trees before parsing: removes all but shapes and their containers, and writes style sheet rules into
attributes. Bounds attributes that would be parsed repeatedly or in quadratic time."""

import re
import xml.etree.ElementTree as ElementTree

from ..space import Refusal

LONGEST, DIGITS = 1000, 25  # characters of an attribute (except outlines), and digits of a number
XLINK = "{http://www.w3.org/1999/xlink}href"
OUTLINES = ("d", "points")
LONG_NUMBER = re.compile(rf"\d{{{DIGITS}}}")
COLOUR_NUMBER = re.compile(r"(\d{5})\d+")  # svgelements tries all splits of the digits of all four numbers
SHAPES = {
    "path": ("d",),
    "rect": ("x", "y", "width", "height", "rx", "ry"),
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "line": ("x1", "y1", "x2", "y2"),
    "polyline": ("points",),
    "polygon": ("points",),
}
PLACE = ("x", "y", "width", "height")
HOLDERS = {
    "svg": (*PLACE, "viewBox", "preserveAspectRatio"),
    "symbol": ("viewBox",),
    "use": (*PLACE, "href", XLINK),
    "linearGradient": ("href", XLINK),
    "radialGradient": ("href", XLINK),
    "stop": ("offset", "stop-color", "stop-opacity"),
    **dict.fromkeys(("g", "a", "switch", "defs"), ()),
}
COMMON = (
    *("id", "transform", "display", "visibility", "color", "opacity", "vector-effect"),
    *("fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity"),
)
NAMES = {name: {*COMMON, *own} for name, own in (SHAPES | HOLDERS).items()}
READ = frozenset().union(*NAMES.values())


def clear(root: ElementTree.Element) -> None:
    """Writes style sheet rules into attributes, then removes all elements and attributes that are not parsed.
    Selectors: `*`, names, ids and classes, as in svgelements."""
    space = root.tag.rpartition("svg")[0]
    rules = _rules("\n".join("".join(sheet.itertext()) for sheet in root.iter(f"{space}style")))
    waiting = [root]
    while waiting:
        element = waiting.pop()
        name = element.tag.removeprefix(space)
        classes = dict.fromkeys(element.get("class", "").split())
        said = dict(element.attrib)
        for selector in ("*", name, f"#{element.get('id')}", *(s for c in classes for s in (f".{c}", f"{name}.{c}"))):
            said |= rules.get(selector, {})
        said |= _declared(element.get("style", ""))
        element.attrib.clear()
        element.attrib.update({key: _bounded(key, said[key]) for key in said if key in NAMES[name]})
        element[:] = [] if name in SHAPES else [e for e in element if _named(e, space)]
        waiting += element


def _named(element: ElementTree.Element, space: str) -> bool:
    return element.tag.startswith(space) and element.tag.removeprefix(space) in NAMES


def _rules(text: str) -> dict[str, dict[str, str]]:
    """The declarations for each selector, for all media."""
    first, *others = text.split("/*")
    rules: dict[str, dict[str, str]] = {}
    heads: list[str] = []  # of the open braces
    said = ""
    for piece in re.split("([{}])", first + "".join(other.partition("*/")[2] for other in others)):
        if piece == "{":
            heads.append(said)
        elif piece == "}" and heads:
            head, declared = heads.pop(), _declared(said)
            for selector in head.split(",") if declared and not heads else ():
                rules.setdefault(selector.strip(), {}).update(declared)
        said = piece.strip("{}")
    return rules


def _declared(text: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip() in READ}


def _bounded(name: str, value: str) -> str:
    if len(value) > LONGEST and name not in OUTLINES:
        raise Refusal(f"the SVG's {name} has {len(value):,} characters: expected at most {LONGEST}; shorten it")
    names = name in ("id", "href", XLINK) or (name in ("fill", "stroke") and value.startswith("url("))
    if not names and LONG_NUMBER.search(value):
        raise Refusal(f"the SVG's {name} has a number of {DIGITS} digits or more: round it")
    return COLOUR_NUMBER.sub(r"\1", value) if value[:3].lower() in ("rgb", "hsl") else value
