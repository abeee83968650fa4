"""Solid things of small cubes in four materials.

Shapes: S cubes a side.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from septet.contracts import Modality
from septet.space import Refusal
from septet.storage import whole

SIDE = 8


class Voxels(Modality):
    """uint8 (S, S, S, 4): how much of each material stands in each cube. The fourth is a material like the others."""

    name, extensions, suffixes = "voxels", (".npz",), (".npz",)

    def read(self, path: Path) -> np.ndarray:
        try:
            with np.load(path, allow_pickle=False) as file:
                return self.take(file["cubes"])
        except (ValueError, KeyError, OSError, TypeError) as error:
            raise Refusal(f"{path}: holds no cubes ({error})") from error

    def take(self, value: Any) -> np.ndarray:
        array = np.asarray(value)
        if array.shape != (SIDE, SIDE, SIDE, 4) or array.dtype != np.uint8:
            raise Refusal(f"cubes of {array.dtype} {array.shape}: expected uint8 ({SIDE}, {SIDE}, {SIDE}, 4)")
        return array

    def write(self, datum: np.ndarray, path: Path, record: dict[str, Any]) -> None:
        stream = io.BytesIO()
        np.savez_compressed(stream, cubes=datum, record=json.dumps(record))
        whole.write(path, stream.getvalue())

    def record(self, path: Path) -> dict[str, Any] | None:
        try:
            with np.load(path, allow_pickle=False) as file:
                return json.loads(str(file["record"]))
        except (ValueError, KeyError, OSError):
            return None

    def preview(self, datum: np.ndarray, size: int = 128) -> Image.Image:
        seen = datum.max(2)[..., :3]
        return Image.fromarray(seen).resize((size, size), Image.Resampling.NEAREST).convert("RGBA")

    def features(self, data) -> Tensor:
        return torch.from_numpy(np.array([datum[::2, ::2, ::2].ravel() / 255 for datum in data], np.float32))

    def extent(self, datum: np.ndarray) -> dict[str, float]:
        return {"cubes": float((datum.max(-1) > 127).sum())}

    def region(self, text: str, datum: np.ndarray) -> np.ndarray:
        """ "upper half" or "lower half" is drawn anew."""
        if text not in ("upper half", "lower half"):
            raise Refusal(f"where {text!r}: expected 'upper half' or 'lower half'")
        kept = np.ones(datum.shape[:3], bool)
        kept[:, :, SIDE // 2 :] = text != "upper half"
        kept[:, :, : SIDE // 2] = text != "lower half"
        return kept

    def compose(self, drawn: np.ndarray, given: np.ndarray, where: np.ndarray | None) -> np.ndarray:
        return drawn if where is None else np.where(where[..., None], given, drawn)
