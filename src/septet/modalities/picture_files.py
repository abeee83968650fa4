"""Picture files of unknown make, opened without trust."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from ..space import Refusal

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")
PIXELS = 50_000_000  # of a picture as its header tells, before anything is decoded


def opened(stream: Path | io.BytesIO, look: Callable[[Pillow.Image], Any]) -> Any:
    """What `look` finds in a picture; whatever a decoder may raise on hostile bytes becomes a Refusal."""
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
        raise Refusal(f"too many pixels ({error}): at most {PIXELS:,} are read; scale it down") from error
    except Pillow.UnidentifiedImageError as error:
        raise Refusal(f"not a picture of a format that is read ({', '.join(FORMATS)})") from error
    except Exception as error:
        raise Refusal(f"damaged or cut short ({type(error).__name__})") from error
