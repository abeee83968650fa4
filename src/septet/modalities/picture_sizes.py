"""The size in pixels at which a picture is written, if its record has one."""

import re
from collections.abc import Mapping
from typing import Any

from PIL import Image as Pillow
from PIL import ImageOps

from ..space import Refusal

SIDES = 16, 2048  # the smallest and largest side, in pixels


def size_of(text: Any) -> tuple[int, int]:
    """Parses WIDTHxHEIGHT, in pixels. Raises Refusal if it is malformed or out of range."""
    found = re.fullmatch("([0-9]{1,4})x([0-9]{1,4})", str(text))
    if not found or not all(SIDES[0] <= int(side) <= SIDES[1] for side in found.groups()):
        raise Refusal(f"size {str(text)[:20]!r}: expected WIDTHxHEIGHT, {SIDES[0]} to {SIDES[1]:,} pixels each")
    return int(found[1]), int(found[2])


def sized(picture: Pillow.Image, record: Mapping[str, Any]) -> Pillow.Image:
    """Scales a picture to the size in its record, if any: not cropped, centred on a transparent background."""
    if "size" not in record:
        return picture
    width, height = size_of(record["size"])
    scale = min(width / picture.width, height / picture.height)
    method = Pillow.Resampling.NEAREST if scale in range(1, SIDES[1]) else Pillow.Resampling.BICUBIC  # square pixels
    return ImageOps.pad(picture.convert("RGBA"), (width, height), method, color=(0, 0, 0, 0))
