"""Records inside files, and beside those that have no room for one."""

import html
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL import ImageOps
from PIL.PngImagePlugin import PngInfo

from ..space import Refusal
from .picture_files import opened

RECORD_BYTES = 1 << 20
SIDES = 16, 2048  # pixels of a picture that is written at a size of its own
EXIF, USER_COMMENT = 0x8769, 0x9286
ASCII = b"ASCII\0\0\0"  # how the comment is encoded (Exif 2.3, 4.6.5)
METADATA = re.compile(rb"<metadata>(.*?)</metadata>", re.DOTALL)


def size_of(text: Any) -> tuple[int, int]:
    """Width and height of a picture, in pixels."""
    found = re.fullmatch("([0-9]{1,4})x([0-9]{1,4})", str(text))
    if not found or not all(SIDES[0] <= int(side) <= SIDES[1] for side in found.groups()):
        raise Refusal(f"size {str(text)[:20]!r}: expected WIDTHxHEIGHT, {SIDES[0]} to {SIDES[1]:,} pixels each")
    return int(found[1]), int(found[2])


def sized(picture: Pillow.Image, record: Mapping[str, Any]) -> Pillow.Image:
    """The picture at the size that its record names, if it names one: whole and in the middle, on nothing."""
    if "size" not in record:
        return picture
    width, height = size_of(record["size"])
    scale = min(width / picture.width, height / picture.height)
    method = Pillow.Resampling.NEAREST if scale in range(1, SIDES[1]) else Pillow.Resampling.BICUBIC  # square pixels
    return ImageOps.pad(picture.convert("RGBA"), (width, height), method, color=(0, 0, 0, 0))


def png_with(record: dict[str, Any], picture: Pillow.Image) -> bytes:
    """A PNG file's content, with the record as the text chunk `septet`."""
    chunks, stream = PngInfo(), io.BytesIO()
    chunks.add_text("septet", json.dumps(record))
    picture.save(stream, "PNG", pnginfo=chunks, optimize=True)
    return stream.getvalue()


def read_record(path: Path) -> dict[str, Any] | None:
    """The record in a PNG, WebP or SVG file, or in `path` + ".json" beside another; None where there is none."""
    try:
        text = _text_of(Path(path))
        record = json.loads(text) if 0 < len(text) <= RECORD_BYTES else None
    except (Refusal, OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _text_of(path: Path) -> str:
    if path.suffix.lower() in (".png", ".webp"):
        return opened(path, _in_picture)
    if path.suffix.lower() == ".svg":
        with open(path, "rb") as file:
            found = METADATA.search(file.read(2 * RECORD_BYTES))
        return html.unescape(found[1].decode()) if found else ""
    with open(path.with_name(path.name + ".json"), encoding="utf-8") as file:
        return file.read(RECORD_BYTES + 1)


def _in_picture(picture: Pillow.Image) -> str:
    if picture.format == "PNG":
        return str(picture.info.get("septet", ""))
    comment = picture.getexif().get_ifd(EXIF).get(USER_COMMENT, b"")
    return comment.removeprefix(ASCII).decode("ascii", "replace") if isinstance(comment, bytes) else ""
