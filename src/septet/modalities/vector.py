"""Vector drawings: reads SVG files to outlines, and writes editable SVG files.

Shapes: B drawings, S pixels a side.
"""

import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
import torch
from PIL import Image
from torch import Tensor

from ..contracts import Modality
from ..space import Refusal
from ..storage import whole
from ..storage.pictures import png
from .descriptors import SIDE, likeness, picture_features, picture_views
from .drawing import Drawing, Figure, bounds, nearest, outlines, rgb, to_svg
from .picture_sizes import size_of, sized
from .pixels import palette
from .svg import MOST_BYTES, parse_svg

__all__ = ["Drawing", "Figure", "Vector", "arrange", "render", "shades"]

Box = tuple[float, float, float, float]  # left, top, right, bottom
MOST_TRIALS = 64  # figures whose fill rule is tested one by one
PNG_SIDE = 512
NEAR = 1.5  # units of the box: the most by which a codec moves the bounds of a figure
COLOURED_SIDE = 48  # pixels of the rendering of which features in colour are computed
FEW_COLOURED = 0.1  # the share of drawings with other colours than the main one from which colours are kept


def render(drawing: Drawing, size: int = 128) -> Image.Image:
    """Renders to a PIL picture, RGBA, size x size: currentColor as black, on a transparent background."""
    data = resvg_py.svg_to_bytes(svg_string=to_svg(drawing), width=size, height=size, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(data))).convert("RGBA")


def shades(drawing: Drawing, size: int) -> np.ndarray:
    """float32 (size, size): the coverage of each pixel, 0 to 1."""
    return np.asarray(render(drawing, size).getchannel("A"), dtype=np.float32) / 255


def _overlap(one: Box, two: Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def _together(boxes: list[Box]) -> list[list[int]]:
    """Indices of boxes in groups that overlap, directly or through others."""
    groups: list[list[int]] = []
    for i, box in enumerate(boxes):
        touching = [group for group in groups if any(_overlap(box, boxes[j]) for j in group)]
        groups = [g for g in groups if g not in touching] + [[*(j for g in touching for j in g), i]]
    return groups


def _order(box: Box) -> tuple[float, float, float]:
    """A sort key: large before small (rounded, so that near ties keep their order), top to bottom, left to right."""
    return (-round(max(box[2] - box[0], box[3] - box[1])), round(box[1], 1), round(box[0], 1))


def _divide(figure: Figure) -> list[tuple[tuple, Figure]]:
    """Splits a figure into the smallest figures that paint the same, each with its sort key."""
    parts = outlines(figure.segments)
    boxes = [bounds(part) for part in parts]
    groups = _together(boxes) if figure.fill else [[i] for i in range(len(parts))]
    if figure.faint and not figure.fill:
        groups = [list(range(len(parts)))]  # crossing faint strokes would darken where they cross
    pieces = []
    for group in groups:
        group = sorted(group, key=lambda i: _order(boxes[i]))
        segments = tuple(segment for i in group for segment in parts[i])
        pieces.append((_order(boxes[group[0]]), replace(figure, segments=segments)))
    return pieces


def arrange(drawing: Drawing) -> Drawing:
    """Normalises a drawing of one colour without changing how it looks: figures are split as far as possible, faint
    ones come first, large before small, and are filled by the even-odd rule if that paints the same. A drawing in
    colours, whose order is visible, is returned unchanged."""
    if any(figure.colour for figure in drawing.figures):
        return drawing
    ruled = replace(drawing, figures=tuple(replace(f, evenodd=True) for f in drawing.figures))
    if ruled != drawing:
        plain = shades(drawing, 64)
        if np.abs(shades(ruled, 64) - plain).mean() > 1e-3:
            figures = list(drawing.figures)
            for i, figure in enumerate(figures[:MOST_TRIALS]):
                trial = Drawing((*figures[:i], replace(figure, evenodd=True), *figures[i + 1 :]))
                if np.abs(shades(trial, 64) - plain).mean() <= 1e-3:
                    figures[i] = trial.figures[i]
            ruled = Drawing(tuple(figures))
    pieces = [piece for figure in ruled.figures for piece in _divide(figure)]
    pieces.sort(key=lambda piece: (not piece[1].faint, piece[0]))
    return Drawing(tuple(figure for _, figure in pieces))


def plain(drawing: Drawing) -> Drawing:
    """Converts to one colour, and arranges."""
    return arrange(Drawing(tuple(replace(figure, colour=None) for figure in drawing.figures)))


def _stand_for(drawn: Sequence[Figure], given: Sequence[Figure]) -> int:
    """The number of first drawn figures that reproduce given ones, of which codecs drop those that cover nothing."""
    count = 0
    for figure in given:
        if count < len(drawn):
            pairs = zip(bounds(list(drawn[count].segments)), bounds(list(figure.segments)), strict=True)
            count += all(abs(one - two) <= NEAR for one, two in pairs)
    return count


def _main_colour(data: Sequence[Drawing]) -> str | None:
    counts = Counter(figure.colour for drawing in data for figure in drawing.figures)
    return counts.most_common(1)[0][0] if counts else None


class Vector(Modality):
    """SVG drawings. `palette`: reduce the colours of the data set to so many; without it, and if fewer than one drawing
    in ten has several colours, all are converted to one. `colours` ("#rrggbb"): the palette found in the data."""

    name = "vector"
    extensions = (".svg",)
    suffixes = (".svg", ".png")

    def __init__(self, palette: int | None = None, colours: Sequence[str] | None = None):
        if palette is not None and (type(palette) is not int or not 2 <= palette <= 256):
            raise Refusal(f"palette={palette}: expected a whole number from 2 to 256")
        self.palette, self.colours = palette, list(colours) if colours else None

    def read(self, path: Path) -> Drawing:
        """Reads an SVG file, and arranges the drawing. Raises Refusal if it cannot be parsed, see svg.parse_svg."""
        try:
            with open(path, "rb") as file:
                return self._parsed(file.read(MOST_BYTES + 1))
        except (Refusal, OSError) as error:
            raise Refusal(f"{path}: {error}") from None

    def _parsed(self, source: bytes) -> Drawing:
        return arrange(parse_svg(source, coloured=bool(self.palette or self.colours)))

    def learned(self, data: Sequence[Drawing]) -> tuple["Vector", list[str]]:
        if not self.palette or self.colours:
            return self, []
        main = _main_colour(data)
        coloured = sum(any(figure.colour != main for figure in drawing.figures) for drawing in data)
        if coloured < FEW_COLOURED * len(data):
            return Vector(), [f"{coloured:,} are in several colours: all are converted to one."] if coloured else []
        paints = [
            np.array([[(*rgb(f.colour or "#000000"), 255) for f in d.figures]], np.uint8) for d in data if d.figures
        ]
        found = ["#" + bytes(colour[:3]).hex() for colour in palette(paints, self.palette)]
        return Vector(self.palette, found), [f"The data set is reduced to a palette of {len(found)} colours."]

    def postprocess(self, datum: Drawing) -> Drawing:
        """Snaps to the learned colours, or converts to one colour if there are none."""
        if not self.colours:
            return plain(datum) if any(figure.colour for figure in datum.figures) else datum
        near = {c: nearest(c, self.colours) for c in {figure.colour for figure in datum.figures} if c}
        return Drawing(tuple(replace(f, colour=f.colour and near[f.colour]) for f in datum.figures))

    def write(self, datum: Drawing, path: Path, record: dict[str, Any]) -> None:
        """Writes an SVG file with the record as JSON in <metadata>, or a PNG at the record's `size`, by default
        PNG_SIDE pixels wide."""
        path = Path(path)
        if path.suffix.lower() not in self.suffixes:
            raise Refusal(f"{path.name}: drawings are written as {' or '.join(self.suffixes)}; rename it")
        if path.suffix.lower() == ".svg":
            whole.write(path, to_svg(datum, record).encode())
            return
        side = min(size_of(record["size"])) if "size" in record else PNG_SIDE
        whole.write(path, png(sized(render(datum, side), record), record))

    def preview(self, datum: Drawing, size: int = 128) -> Image.Image:
        return render(datum, size)

    def region(self, text: str, datum: Drawing) -> int:
        """Parses "after N": figures are to be inserted after the first N."""
        found = re.fullmatch(r"after (\d{1,6})", text.strip())
        if not found or int(found[1]) > len(datum.figures):
            raise Refusal(f"--where {text}: expected `after N`, with N from 0 to {len(datum.figures)} figures")
        return int(found[1])

    def compose(self, generated: Drawing, given: Drawing, where: int | None = None) -> Drawing:
        """Replaces the generated figures that reproduce given ones by these, exactly: the first ones; with a gap after
        `where` given figures, the first `where` and the last ones."""
        before = given.figures if where is None else given.figures[:where]
        after = given.figures[len(before) :]
        rest = generated.figures[_stand_for(generated.figures, before) :]
        return Drawing(before + rest[: len(rest) - _stand_for(rest[::-1], after[::-1])] + after)

    def take(self, value: Any) -> Drawing:
        """Converts a Drawing (unchanged), or the text or bytes of an SVG file."""
        if isinstance(value, Drawing):
            return value
        if not isinstance(value, str | bytes):
            raise Refusal(f"{type(value).__name__}: expected the text or bytes of an SVG file, or a Drawing")
        return self._parsed(value.encode() if isinstance(value, str) else value)

    def canary(self, seed: int) -> Drawing:
        """Two random polygons."""
        stream, figures = np.random.default_rng(seed), []
        for _ in range(2):
            points = [complex(x, y) for x, y in stream.integers(2, 22, (4, 2)).tolist()]
            figures.append(Figure((("M", points[0]), *(("L", point) for point in points[1:]), ("Z",))))
        return arrange(Drawing(tuple(figures)))

    def extent(self, datum: Drawing) -> dict[str, float]:
        return {"figures": len(datum.figures), "segments": sum(len(figure.segments) for figure in datum.figures)}

    def shingles(self, datum: Drawing) -> np.ndarray:
        """uint32 (n,) hashes of all segments, with their ends rounded to a coarse grid."""
        marks = {
            f"{figure.fill} {segment[0]} {segment[-1].real:.0f} {segment[-1].imag:.0f}".encode()
            for figure in datum.figures
            for segment in figure.segments
            if segment[0] != "Z"
        }
        return np.array(sorted(map(zlib.crc32, marks)), dtype=np.uint32)

    def features(self, data: Sequence[Drawing]) -> Tensor:
        """float32 (n, F) features of renderings. In one colour: of shape only, independent of the order of figures; in
        colours: those of pictures."""
        if self.colours:
            return picture_features([self._picture(drawing) for drawing in data])
        if not data:
            return likeness(torch.zeros(1, SIDE, SIDE))[:0]
        return likeness(torch.from_numpy(np.stack([shades(drawing, SIDE) for drawing in data])))

    def _picture(self, drawing: Drawing) -> np.ndarray:
        return np.asarray(render(drawing, COLOURED_SIDE))

    def views(self, data: Sequence[Drawing]) -> list[Iterator[Tensor]]:
        if self.colours:
            return picture_views([self._picture(drawing) for drawing in data])
        shades_BSS = torch.from_numpy(np.stack([shades(drawing, SIDE) for drawing in data]))
        return [map(likeness, (shades_BSS, shades_BSS.flip(-1)))]

    @classmethod
    def tiny(cls) -> "Vector":
        return cls()
