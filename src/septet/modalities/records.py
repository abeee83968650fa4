"""Records inside picture files."""

import io
import json
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo


def png_with(record: dict[str, Any], picture: Image.Image) -> bytes:
    """A PNG file's content, with the record as the text chunk `septet`."""
    chunks, stream = PngInfo(), io.BytesIO()
    chunks.add_text("septet", json.dumps(record))
    picture.save(stream, "PNG", pnginfo=chunks, optimize=True)
    return stream.getvalue()
