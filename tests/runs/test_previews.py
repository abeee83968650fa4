"""Previews: one row a moment, each prompt with a seed of its own, and never a moment without its row."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from septet.backbones.transformer import Transformer
from septet.codecs.patches import Patches
from septet.conditioners.nothing import Nothing
from septet.generator import Generator
from septet.modalities.image import Image as Pictures
from septet.processes.flow import Flow
from septet.runs.previews import MOMENTS, Previews


def generator() -> Generator:
    codec = Patches(size=8, patch=4, channels=4)
    process = Flow(codec.space, Transformer(width=32, layers=1, heads=2, modulated=True))
    torch.nn.init.normal_(process.leave.weight)
    return Generator(Pictures(size=8), codec, process, Nothing(), settings={"steps": 2})


def test_equal_prompts_are_drawn_with_seeds_of_their_own(tmp_path: Path):
    previews = Previews(tmp_path / "previews.png", [None, None, None])
    previews.draw(generator(), MOMENTS[0])
    row = np.asarray(Image.open(previews.path).convert("RGB"))
    first, second, third = np.array_split(row[:, : row.shape[1] // 3 * 3], 3, axis=1)
    assert not np.array_equal(first, second) and not np.array_equal(second, third)


def test_every_moment_has_its_row(tmp_path: Path):
    previews, model = Previews(tmp_path / "previews.png", [None]), generator()
    previews.draw(model, MOMENTS[0])
    assert not previews.due(MOMENTS[0], None) and previews.due(MOMENTS[3], None)
    previews.draw(model, MOMENTS[3])
    assert len(previews.rows) == 4
    again = Previews(previews.path, [None])
    again.restore(4)
    assert [row.tobytes() for row in again.rows] == [row.tobytes() for row in previews.rows]
