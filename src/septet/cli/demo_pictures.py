"""Training pictures for the demo: faces composed of a colour, a mouth, eyes and something worn."""

import io
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

SIDE = 24  # pixels
SKINS = {"yellow": "#ffcc33", "orange": "#ff8c2e", "pink": "#ff9ec4", "green": "#7bc950", "blue": "#5aa9f5"}
SKINS |= {"purple": "#a97be0"}
LINE = 'fill="none" stroke="#3b2a1a" stroke-width="2" stroke-linecap="round"'
EYES = {
    "open eyes": '<circle cx="11" cy="14" r="2" fill="#3b2a1a"/><circle cx="21" cy="14" r="2" fill="#3b2a1a"/>',
    "closed eyes": f'<path d="M8.5 14q2.5 2.5 5 0M18.5 14q2.5 2.5 5 0" {LINE}/>',
    "winking": f'<circle cx="11" cy="14" r="2" fill="#3b2a1a"/><path d="M18.5 14h5" {LINE}/>',
    "heart eyes": '<path d="M11 17l-3-3.2a1.7 1.7 0 0 1 3-1.6a1.7 1.7 0 0 1 3 1.6zM21 17l-3-3.2a1.7 1.7 0 0 1 3-1.6'
    'a1.7 1.7 0 0 1 3 1.6z" fill="#d62839"/>',
}
MOUTHS = {
    "smiling": f'<path d="M10 20.5q6 5.5 12 0" {LINE}/>',
    "laughing": '<path d="M9.5 19.5h13a6.5 6 0 0 1-13 0z" fill="#7a1f2b"/>',
    "sad": f'<path d="M10.5 23.5q5.5-5 11 0" {LINE}/>',
    "surprised": '<ellipse cx="16" cy="22.5" rx="2.6" ry="3.2" fill="#7a1f2b"/>',
}
WORN = {
    "": "",
    "top hat": '<path d="M10 0h12v6h3v2.5h-18v-2.5h3z" fill="#26233a"/><path d="M10 4h12v2h-12z" fill="#d62839"/>',
    "crown": '<path d="M8 9v-8l4 4l4-5l4 5l4-4v8z" fill="#f2b705" stroke="#a87400" stroke-width=".8"/>',
    "bow": '<path d="M16 5l-7-4v8zM16 5l7-4v8z" fill="#d62839"/><circle cx="16" cy="5" r="2" fill="#a01525"/>',
}
FRAME = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g transform="translate({x} {y})">{body}</g></svg>'
HEAD = '<circle cx="16" cy="18" r="12.5" fill="{fill}"/>'
ASKED = (  # prompts that are excluded from the training pictures
    "yellow face, smiling, heart eyes, crown",
    "blue face, sad, open eyes, top hat",
    "pink face, laughing, closed eyes, bow",
    "green face, surprised, open eyes",
    "purple face, smiling, winking, top hat",
    "orange face, laughing, heart eyes",
    "yellow face, sad, closed eyes, bow",
    "blue face, surprised, winking, crown",
)


def caption(parts: Sequence[str]) -> str:
    """The caption of a face: colour, mouth, eyes, something worn."""
    return ", ".join([f"{parts[0]} face", *filter(None, parts[1:])])


def face(parts: Sequence[str], x: float = 0.0, y: float = 0.0) -> Image.Image:
    """A picture of a face, RGBA with a transparent background, moved by x, y units of its 32 x 32 grid."""
    skin, mouth, eyes, worn = parts
    body = HEAD.format(fill=SKINS[skin]) + EYES[eyes] + MOUTHS[mouth] + WORN[worn]
    source = FRAME.format(x=round(x, 2), y=round(y, 2), body=body)
    data = resvg_py.svg_to_bytes(svg_string=source, width=SIDE, height=SIDE, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(data))).convert("RGBA")


def write(folder: Path) -> int:
    """Writes two pictures of every face except those in ASKED, at random positions, named by their captions; returns
    their number."""
    stream, count = np.random.default_rng(0), 0
    folder.mkdir(parents=True, exist_ok=True)
    for parts in product(SKINS, MOUTHS, EYES, WORN):
        for number in () if caption(parts) in ASKED else (1, 2):
            face(parts, *stream.uniform(-0.3, 0.3, 2)).save(folder / f"{caption(parts)}-{number}.png")
            count += 1
    return count
