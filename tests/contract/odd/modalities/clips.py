"""Short clips of small pictures.

Shapes: T frames, S pixels a side.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from septet.contracts import Modality
from septet.space import Refusal
from septet.storage import whole

FRAMES, SIDE = 4, 8
EXIF, COMMENT = 0x8769, 0x9286


class Clips(Modality):
    """uint8 (T, S, S, 3), as an animated lossless WebP."""

    name, extensions, suffixes = "clips", (".webp",), (".webp",)

    def read(self, path: Path) -> np.ndarray:
        try:
            with Image.open(path) as file:
                return self.take(np.stack([np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(file)]))
        except (OSError, ValueError) as error:
            raise Refusal(f"{path}: no clip ({error})") from error

    def take(self, value: Any) -> np.ndarray:
        if np.shape(value) != (FRAMES, SIDE, SIDE, 3):
            raise Refusal(f"a clip of shape {np.shape(value)}: expected ({FRAMES}, {SIDE}, {SIDE}, 3)")
        return np.asarray(value)

    def write(self, datum: np.ndarray, path: Path, record: dict[str, Any]) -> None:
        stream, frames, exif = io.BytesIO(), [Image.fromarray(frame) for frame in datum], Image.Exif()
        exif.get_ifd(EXIF)[COMMENT] = b"ASCII\0\0\0" + json.dumps(record).encode("ascii")
        options = {"save_all": True, "append_images": frames[1:], "lossless": True, "duration": 100, "kmax": 1}
        frames[0].save(stream, "WEBP", exif=exif, **options)
        whole.write(path, stream.getvalue())

    def preview(self, datum: np.ndarray, size: int = 128) -> Image.Image:
        strip = Image.fromarray(np.concatenate(list(datum), 1))
        return strip.resize((size, size * SIDE // strip.width), Image.Resampling.NEAREST).convert("RGBA")

    def features(self, data) -> Tensor:
        return torch.from_numpy(np.array([d[:, ::2, ::2].ravel() / 255 for d in data], np.float32))

    def extent(self, datum: np.ndarray) -> dict[str, float]:
        return {"frames": len(datum)}

    def region(self, text: str, datum: np.ndarray) -> np.ndarray:
        """ "frame 2" is drawn anew, and what follows it: the first is frame 1."""
        found = re.fullmatch(r"frames? (\d)-?", text)
        if not found or not 1 <= int(found[1]) <= FRAMES:
            raise Refusal(f"where {text!r}: expected a frame from 1 to {FRAMES}, such as 'frame 2'")
        kept = np.ones(datum.shape[:3], bool)
        kept[int(found[1]) - 1] = False
        return kept

    def compose(self, drawn: np.ndarray, given: np.ndarray, where: np.ndarray | None) -> np.ndarray:
        return drawn if where is None else np.where(where[..., None], given, drawn)
