"""Reads septet's records: inside files, or beside them if the format cannot hold one."""

import html
import json
import re
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from ..space import Refusal
from .pictures import opened

RECORD_BYTES = 1 << 20
EXIF, USER_COMMENT = 0x8769, 0x9286
ASCII = b"ASCII\0\0\0"  # the encoding of the comment (Exif 2.3, 4.6.5)
METADATA = re.compile(rb"<metadata>(.*?)</metadata>", re.DOTALL)
START = 1024  # bytes that identify the format


def read_record(path: Path) -> dict[str, Any] | None:
    """The record in a PNG, WebP or SVG file, whatever its name, else in `path` + ".json"; None if there is none."""
    path = Path(path)
    return _parsed(_inside, path) or _parsed(_beside, path)


def _parsed(look: Any, path: Path) -> dict[str, Any] | None:
    try:
        text = look(path)
        record = json.loads(text) if 0 < len(text) <= RECORD_BYTES else None
    except (Refusal, OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _inside(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(START)
        if start.startswith(b"\x89PNG") or (start.startswith(b"RIFF") and start[8:12] == b"WEBP"):
            return opened(path, _in_picture)
        if not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or b"<svg" not in start:
            return ""
        found = METADATA.search(start + file.read(2 * RECORD_BYTES))
    return html.unescape(found[1].decode()) if found else ""


def _in_picture(picture: Pillow.Image) -> str:
    if picture.format == "PNG":
        return str(picture.info.get("septet", ""))
    comment = picture.getexif().get_ifd(EXIF).get(USER_COMMENT, b"")
    return comment.removeprefix(ASCII).decode("ascii", "replace") if isinstance(comment, bytes) else ""


def _beside(path: Path) -> str:
    with open(path.with_name(path.name + ".json"), encoding="utf-8") as file:
        return file.read(RECORD_BYTES + 1)
