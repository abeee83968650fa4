"""Paints of the shapes of an SVG file: fill, stroke, colour, opacity."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import numpy as np
import svgelements

from .drawing import rgb
from .sheets import XLINK

CURRENT = "#000001"  # stands for currentColor
UNSEEN, FAINT = 0.02, 0.65  # opacity below which paint is dropped, and is faint
LINKS = 8  # links between gradients that are followed, at most

Fields = dict[str, Any]  # of a Figure, without its segments


def gradients(root: ElementTree.Element) -> dict[str, tuple[str, float]]:
    """The mean colour and opacity of each gradient by id, weighted by the extent of its stops."""
    named = {e.get("id", ""): e for e in root.iter() if e.tag.endswith("Gradient")}
    own = {name: mean for name, element in named.items() if (mean := _mean(element)) is not None}
    means = {}
    for name in named:
        place = name
        for _ in range(LINKS):
            if place in own or place not in named:
                break
            place = (named[place].get("href") or named[place].get(XLINK) or "")[1:]
        if place in own:
            means[name] = own[place]
    return means


def _mean(gradient: ElementTree.Element) -> tuple[str, float] | None:
    """The mean colour and opacity of a gradient's own stops; None if it has none."""
    stops = [dict(e.attrib) for e in gradient if e.tag.endswith("stop")]
    if not stops:
        return None
    places = np.clip([_number(stop, "offset", "0") for stop in stops], 0, 1)
    edges = np.concatenate([[0.0], (places[1:] + places[:-1]) / 2, [1.0]])
    weights = np.diff(edges).clip(1e-6)
    colours = [hexadecimal(stop.get("stop-color", "#000")) or "#000000" for stop in stops]
    opacity = np.array([_number(stop, "stop-opacity") for stop in stops])
    weights = weights / weights.sum()
    seen = weights * opacity.clip(1e-6)
    mean = (seen[:, None] * [rgb(colour) for colour in colours]).sum(0) / seen.sum()
    return "#" + "".join(f"{round(v):02x}" for v in mean), float(weights @ opacity)


def hexadecimal(text: str) -> str | None:
    """Converts any CSS colour to "#rrggbb"; None for currentColor."""
    colour = svgelements.Color(CURRENT if text.strip().lower() == "currentcolor" else text)
    found = "#000000" if colour.value is None else f"#{colour.red:02x}{colour.green:02x}{colour.blue:02x}"
    return None if found == CURRENT else found


def _number(values: dict, name: str, default: str = "1") -> float:
    text = str(values.get(name) or default)
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return float(default)


def plain_paint(element: Any) -> Iterator[Fields]:
    """The paint of one shape, without colour; yields nothing if it is invisible."""
    sides, width = _painted(element)
    opacity = _opacity(element, sides[0]) if sides else 0.0
    if opacity >= UNSEEN:
        yield _fields(element, "fill" in sides, width, opacity)


def _painted(element: Any) -> tuple[list[str], float]:
    """Which of fill and stroke are painted, and the width of the stroke, 0 without one."""
    paints = {side: str(element.values.get(side, "none")).strip().lower() for side in ("fill", "stroke")}
    seen = {side: paint not in ("none", "transparent") for side, paint in paints.items()}
    width = float(element.stroke_width) if seen["stroke"] and isinstance(element.stroke_width, float | int) else 0.0
    return [side for side in ("fill", "stroke") if seen[side] and (side == "fill" or width > 0)], max(width, 0.0)


def _fields(element: Any, fill: bool, width: float, opacity: float) -> Fields:
    rule = element.values.get("fill-rule") == "evenodd"
    return {"fill": fill, "width": width, "faint": opacity < FAINT, "evenodd": rule}


def coloured_paints(element: Any, means: dict[str, tuple[str, float]]) -> Iterator[Fields]:
    """The fill and then the stroke of one shape with their colours, as one paint if these are equal; a gradient has its
    mean colour, from `means`."""
    sides, width = _painted(element)
    coats: list[Fields] = []
    for side in sides:
        text = str(element.values.get(side)).strip()
        name = text[4:].partition(")")[0].strip("'\"# ") if text.startswith("url(") else None
        if name is not None and name not in means:
            continue  # a pattern
        colour, opacity = means[name] if name is not None else (hexadecimal(text), 1.0)
        opacity *= _opacity(element, side)
        if opacity >= UNSEEN:
            pen = width if side == "stroke" else 0.0
            coats.append(_fields(element, side == "fill", pen, opacity) | {"colour": colour})
    if len(coats) == 2 and all(coats[0][key] == coats[1][key] for key in ("colour", "faint")):
        coats = [coats[0] | {"width": width}]
    yield from coats


def _opacity(element: Any, side: str) -> float:
    return _number(element.values, "opacity") * _number(element.values, f"{side}-opacity")
