"""How long a run lasts, what it logs, and what it cannot be asked for."""

from pathlib import Path
from typing import Any

import pytest
from counting import Clock
from running import TINY, finish, log

from septet import models, runs
from septet.fitting import flops, loop
from septet.output import Outputs
from septet.runs import stages
from septet.space import Refusal


def test_validating_is_rare_in_steps(source: Path, tmp_path: Path):
    for steps, expected in ((25, [10, 20, 25]), (8, [8])):
        finish({"source": source, "recipe": "text_gpt", "out": tmp_path / "m", "steps": steps, **TINY["text_gpt"]})
        assert [row["step"] for row in log(tmp_path / "m") if "validation_loss" in row] == expected


def test_steps_are_of_all_stages_together(source: Path, tmp_path: Path):
    arguments = {"source": source, "recipe": "image_gpt", "out": tmp_path / "model", "steps": 12, **TINY["image_gpt"]}
    done = finish(arguments | {"codec_share": 0.25})
    assert [p.stage for p in done if p.step] == ["codec"] * 3 + ["model"] * 9
    shares = [p.share for p in done if p.step]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)


@pytest.mark.parametrize("budget", ["4s", "40d", "soon", "", "-20s", "nan", "1e3", 3, float("inf")])
def test_an_impossible_budget_is_refused(budget: Any, source: Path, tmp_path: Path):
    with pytest.raises(Refusal, match="budget"):
        finish({"source": source, "recipe": "text_gpt", "out": tmp_path / "model", "budget": budget})


def test_budgets_read_as_people_write_them():
    assert [runs.seconds_of(b) for b in ("90s", "20m", "1h30m", "1.5m", 45, "45")] == [90, 1200, 5400, 90, 45, 45]


def timed(clock: Clock) -> None:
    """Work takes what it took where it was measured: a step least, then validating, a preview, saving."""
    clock.takes(loop._Loop, "advance", 0.2)
    clock.takes(loop, "validate", 0.5)
    clock.takes(stages, "validate", 0.7)
    clock.takes(flops, "of_steps", 0.2)
    clock.takes(Outputs, "sheet", 0.4)
    clock.takes(models, "save", 0.3)


@pytest.mark.parametrize("recipe,budget", [("text_gpt", 20), ("image_gpt", 25), ("image_gan", 20)])
def test_a_budget_is_kept_within_a_twentieth_and_logged(
    recipe: str, budget: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """From the start of the process until the model's folder is there."""
    clock = Clock(monkeypatch)
    timed(clock)
    arguments = {"source": source, "recipe": recipe, "out": tmp_path / "model", "budget": budget}
    done = finish(arguments | {"began": clock.now - 3} | TINY[recipe])  # three seconds for loading
    spent = clock.passed() + 3
    print(f"{recipe}: {spent:.2f} s of {budget}")
    assert 0.95 * budget <= spent <= 1.05 * budget
    rows = log(tmp_path / "model")
    assert all({"step", "elapsed_seconds", "rate"} <= set(row) for row in rows)
    assert recipe == "image_gan" or ("validation_loss" in rows[-1] and all("loss" in row for row in rows))
    assert [r["step"] for r in rows] == sorted({r["step"] for r in rows})
    assert done[-1].share == 1 and models.card(tmp_path / "model")["seconds"] <= spent


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True])
def test_an_impossible_seed_is_refused(seed: Any, source: Path, tmp_path: Path):
    with pytest.raises(Refusal, match="seed="):
        finish({"source": source, "recipe": "text_gpt", "out": tmp_path / "model", "steps": 2, "seed": seed})
    assert not list(tmp_path.iterdir())


def test_the_largest_seed_trains(source: Path, tmp_path: Path):
    arguments = {"source": source, "recipe": "text_gpt", "out": tmp_path / "model", **TINY["text_gpt"]}
    finish(arguments | {"steps": 2, "seed": 2**63 - 1})
    assert models.card(tmp_path / "model")["seed"] == 2**63 - 1


def test_a_model_too_large_for_memory_is_refused(source: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("septet.runs.run.COPIES", 10**8)
    arguments = {"source": source, "recipe": "text_gpt", "out": tmp_path / "model", "steps": 2, **TINY["text_gpt"]}
    with pytest.raises(Refusal, match="memory"):
        finish(arguments)
    assert not list(tmp_path.iterdir())
