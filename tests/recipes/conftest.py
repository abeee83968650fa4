"""Small folders of a person's files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROSE = "the cat sat on the mat. the dog ran to the sea. " * 40


@pytest.fixture(scope="session")
def sources(tmp_path_factory) -> dict[str, Path]:
    """A folder of pictures in two subfolders, one of texts, one of drawings, one of code."""
    root = tmp_path_factory.mktemp("sources")
    for kind in ("pictures/red", "pictures/blue", "texts", "drawings", "code"):
        (root / kind).mkdir(parents=True)
    stream = np.random.default_rng(0)
    for number in range(12):
        pixels = stream.integers(0, 256, (8, 8, 4), dtype=np.uint8)
        pixels[..., number % 2 * 2] = 255
        pixels[..., 3] = 255
        Image.fromarray(pixels).save(root / "pictures" / ("red", "blue")[number % 2] / f"{number}.png")
        path = f"M{number} {number} L20 {number + 2} L{number + 3} 20 Z"
        drawing = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="{path}"/></svg>'
        (root / "drawings" / f"kite-{number}.svg").write_text(drawing)
        (root / "code" / f"sails_{number}.py").write_text(f"def sail_{number}(wind):\n    return wind * {number}\n" * 4)
    (root / "texts" / "prose.txt").write_text(PROSE)
    return {"image": root / "pictures", "text": root / "texts", "vector": root / "drawings", "code": root / "code"}
