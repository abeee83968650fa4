"""A budget for a few drawings ends after the passes that help, and says so."""

from pathlib import Path

import pytest
from counting import Clock

from septet import models
from septet.fitting import loop
from septet.recipes import vector_gpt


def test_few_drawings_are_learned_in_a_few_passes(sources, septet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock, out = Clock(monkeypatch), tmp_path / "model"
    clock.takes(loop._Loop, "advance", 0.1)
    tiny = ["length=64", "fill=0", "width=32", "layers=1", "batch=4"]
    code, _, error = septet(
        *("train", "vector", sources["vector"], *tiny, "--from", "nothing", "--budget", "10m", "--out", out)
    )
    assert code == 0, error
    facts = models.card(out)
    steps = -(-vector_gpt.PASSES * facts["training"] // 4)
    assert facts["stages"]["gpt"]["steps"] == steps and clock.passed() < 300
    assert f"ended after {steps} steps: more would not help" in facts["stages"]["gpt"]["remarks"]
    assert "more would not help" in error
