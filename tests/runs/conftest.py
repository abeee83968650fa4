"""Files to train on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLOURS = {"red": (220, 30, 30), "blue": (20, 40, 230)}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Files of two kinds: pictures and a text."""
    folder = tmp_path_factory.mktemp("source")
    stream = np.random.default_rng(0)
    for number in range(12):
        name = ("red", "blue")[number % 2]
        pixels = stream.integers(0, 60, (8, 8, 3)) // 2 + np.array(COLOURS[name]) // 2
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}-{number}.png")
    (folder / "prose.txt").write_text("the cat sat on the mat. the dog ran to the sea. " * 40)
    return folder
