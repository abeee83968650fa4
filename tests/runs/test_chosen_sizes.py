"""A run on a budget chooses its size by the speed of the machine, keeps to it when it goes on, and says why."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counting import Clock
from running import finish, log

from septet import models, runs
from septet.fitting import loop
from septet.fitting.sizes import Size
from septet.recipes import _families
from septet.recipes.text_gpt import text_gpt

TEXT = {"recipe": "text_gpt", "tokens": "bytes", "layers": 1, "batch": 2, "length": 16}
S, M = (_families.TEXTS.named(name) for name in ("s", "m"))
BUDGET = 1.5 * S.steps * 0.1  # seconds, in which a step of a tenth of a second has room for size s, and no more


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Clock:
    """A machine that takes so long for a step, of whatever size."""
    clock = Clock(monkeypatch)
    clock.takes(loop._Loop, "advance", seconds)
    return clock


def begun(arguments: dict[str, Any], steps: int) -> tuple[list[str], dict[str, Any]]:
    """Trains for so many steps and leaves it there; what was said, and what is recorded of the beginning."""
    said: list[str] = []
    running: Any = runs.training(**arguments, checkpoint_seconds=0)
    for progress in running:
        said.append(progress.message or "")
        if progress.step is not None and progress.step.step >= steps:
            break
    running.close()
    return said, json.loads((arguments["out"].with_name("model.run") / "run.json").read_text())


@pytest.mark.parametrize("seconds,size", [(0.1, S), (0.03, M)])
def test_the_speed_of_the_machine_chooses_the_size(
    seconds: float, size: Size, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    at(monkeypatch, seconds)
    said, recorded = begun({"source": source, "out": tmp_path / "model", "budget": BUDGET, **TEXT}, 1)
    assert recorded["chosen"]["width"] == size.options["width"]
    assert f"network {size.name}" in recorded["why"] and f"{seconds:g} s per step" in recorded["why"]
    assert any(f"Network {size.name}" in message for message in said)


def test_a_run_goes_on_with_the_size_it_chose(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    arguments: dict[str, Any] = {"source": source, "out": tmp_path / "model", **TEXT}
    with monkeypatch.context() as patch:
        at(patch, 0.1)
        begun(arguments | {"budget": BUDGET}, 5)
    at(monkeypatch, 10.0)  # by its speed now the smallest size would be chosen
    finish(arguments | {"resume": True})
    assert models.load(tmp_path / "model").process.backbone.width == S.options["width"]
    facts = models.card(tmp_path / "model")
    assert facts["chosen"]["width"] == S.options["width"] and "0.1 s per step" in facts["why"]
    assert facts["options"] == {name: value for name, value in TEXT.items() if name != "recipe"}


def test_what_was_chosen_is_made_again_by_its_options(source: Path):
    """Trying sizes leaves no trace in the one that is trained."""
    texts = [(source / "prose.txt").read_text()]
    options = {"tokens": "bytes", "layers": 1, "batch": 2, "length": 16}
    first = text_gpt(texts, seed=3, seconds=20.0, **options)
    second = text_gpt(texts, seed=3, **options | first.choice.chosen)
    pairs = zip(first.generator.parameters(), second.generator.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs) and first.choice.why and not second.choice.why


def noise(folder: Path) -> Path:
    """A text in which nothing is to be learned but by heart."""
    letters = torch.randint(97, 123, (600,), generator=torch.Generator().manual_seed(0))
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.txt").write_text(bytes(letters[50 * number :][:50].tolist()).decode())
    return folder


@pytest.mark.parametrize("keep,ends", [(None, True), ("last", False)])
def test_a_budget_is_left_unspent_where_more_would_only_overfit(
    keep: str | None, ends: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = at(monkeypatch, 0.2)
    arguments = {"source": noise(tmp_path / "noise"), "out": tmp_path / "model", "budget": 40, "keep": keep}
    finish(arguments | TEXT | {"width": 64, "batch": 16})
    assert (clock.passed() < 35) == ends
    remarks = models.card(tmp_path / "model")["stages"]["gpt"].get("remarks", [])
    assert any("Ended early" in remark for remark in remarks) == ends
    assert any("remarks" in row for row in log(tmp_path / "model")) == ends


def test_few_pictures_get_a_small_network_and_few_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pictures = [np.full((8, 8, 4), 9 * n, np.uint8) for n in range(20)]
    at(monkeypatch, 0.01)
    arguments = {"source": pictures, "recipe": "image_diffusion", "out": tmp_path / "model", "size": 8}
    _, recorded = begun({**arguments, "budget": 599.0}, 1)  # a longer one compiles
    assert "network s" in recorded["why"] and "about 3,000 steps" in recorded["why"]
    assert recorded["chosen"]["width"] == 128
