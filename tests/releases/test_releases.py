"""A model folder of every release loads and draws with the code of today, whatever became of the recipes."""

import shutil
from pathlib import Path

import pytest

from septet import models

FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("*/*/config.json"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_a_released_model_loads_and_draws(folder: Path, tmp_path: Path):
    model = models.load(folder)
    outputs = model.generate(count=2, seed=1)
    assert all(path.stat().st_size for path in outputs.save(tmp_path))
    assert outputs[0].record["model_sha256"] == models.digest(folder)


def test_there_is_one_of_this_release():
    assert any(folder.parent.name == "0.1.0" for folder in FOLDERS)


def test_loading_needs_no_recipe(tmp_path: Path, monkeypatch):
    """Not even the one that made the model."""
    from septet import recipes

    copy = shutil.copytree(FOLDERS[0], tmp_path / "model")
    monkeypatch.setattr(recipes, "find", None)
    assert models.load(copy).generate(seed=1)
