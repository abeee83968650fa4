"""Files of several frames are compared whole, with what their records draw."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from septet.audits import provenance
from septet.contracts import Modality
from septet.modalities.image import Image as Picture
from septet.output import Output

RECORD: dict[str, Any] = {"seed": 0}


def saved(clip_THWC: np.ndarray, path: Path) -> None:
    first, *rest = (Image.fromarray(frame) for frame in clip_THWC)
    first.save(path, save_all=True, append_images=rest, duration=100, lossless=True, disposal=1)


class Clip(Modality):
    """uint8 (T, H, W, 3), as an animated picture."""

    name, extensions, suffixes = "clip", (".gif", ".webp", ".apng"), (".gif", ".webp", ".apng")

    def read(self, path: Path) -> np.ndarray:
        with Image.open(path) as file:
            return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)])

    def write(self, datum: np.ndarray, path: Path, record: dict[str, Any]) -> None:
        path.with_name(path.name + ".json").write_text("{}")
        saved(datum, path)

    def preview(self, datum: np.ndarray, size: int = 128) -> Image.Image:
        return Image.fromarray(datum[0]).convert("RGBA")

    def features(self, data: Any):
        return torch.zeros(len(data), 1)


def clip() -> np.ndarray:
    """Three frames, each of its own plain colour."""
    return np.stack([np.full((8, 8, 3), colour, np.uint8) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))])


@pytest.mark.parametrize("suffix", Clip.suffixes)
def test_a_later_frame_counts(suffix: str, tmp_path: Path):
    output, path = Output(clip(), RECORD, Clip()), tmp_path / f"a{suffix}"
    output.save(path)
    assert provenance.matches(path, output, RECORD)
    other = clip()
    other[2] = 99
    saved(other, path)
    assert not provenance.matches(path, output, RECORD)


def test_a_picture_to_which_frames_were_added_is_another(tmp_path: Path):
    datum = np.dstack([clip()[0], np.full((8, 8), 255, np.uint8)])
    output, path = Output(datum, RECORD, Picture(8)), tmp_path / "a.webp"
    output.save(path)
    with Image.open(path) as file:
        file.convert("RGBA").save(tmp_path / "b.webp", lossless=True, exact=True)  # the same, without the record
    assert provenance.matches(tmp_path / "b.webp", output, RECORD)
    saved(np.stack([datum, datum[::-1] // 2]), path)
    assert not provenance.matches(path, output, RECORD)
