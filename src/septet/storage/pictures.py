"""Opens untrusted picture files, and encodes pictures as PNG."""

import base64
import io
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from ..space import Refusal

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")
PIXELS = 50_000_000  # limit on the pixels in a picture's header, checked before decoding


def opened(stream: Path | io.BytesIO, look: Callable[[Pillow.Image], Any]) -> Any:
    """The result of `look` on an opened picture. Whatever a decoder raises becomes a Refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            Pillow.init()
            with Pillow.open(stream, formats=[name for name in FORMATS if name in Pillow.OPEN]) as picture:
                width, height = picture.size
                if width * height > PIXELS:
                    raise Pillow.DecompressionBombError(f"{width} x {height} pixels")
                return look(picture)
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise Refusal(f"too many pixels ({error}), of at most {PIXELS:,}; scale the picture down") from error
    except Pillow.UnidentifiedImageError as error:
        raise Refusal(f"not a picture in one of the formats {', '.join(FORMATS)}") from error
    except Exception as error:
        raise Refusal(f"damaged or incomplete ({type(error).__name__})") from error


def png(picture: Pillow.Image, record: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a PNG file, with the record, if any, in the text chunk `septet`."""
    chunks, stream = PngInfo(), io.BytesIO()
    if record is not None:
        chunks.add_text("septet", json.dumps(record))
    picture.save(stream, "PNG", pnginfo=chunks, optimize=record is not None)
    return stream.getvalue()


def uri(picture: Pillow.Image) -> str:
    """A data URI of the picture as PNG."""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}"


def shown(picture: Pillow.Image) -> str:
    """An HTML image with the picture as a data URI."""
    return f'<img src="{uri(picture)}" alt="">'
