"""A run goes on where it was stopped, to the same bits; keeps what it began with; and says what became of it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from running import TINY, finish, log, same

from septet import models, runs
from septet.fitting import Settings
from septet.originality.evidence import EVIDENCE
from septet.recipes import Plan, text_gpt
from septet.space import Refusal

CHILD = """
import json, sys, torch
torch.set_num_threads(1)
from septet import runs
for progress in runs.training(**json.loads(sys.argv[1])):
    if progress.step:
        print(progress.step.step, flush=True)
        sys.stdin.readline()
"""


AHEAD = 2  # steps that it may do while the kill is under way


def kill_after(arguments: dict[str, Any], steps: int) -> bool:
    """Starts the run in a process of its own, and kills it as soon as it has done so many steps more, before it has
    done many more than that, however slow this process is; whether it was killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write("go on\n" * (steps + AHEAD))
    child.stdin.flush()
    for done, _ in enumerate(child.stdout):
        if done == steps:
            break
    child.kill()
    child.stdin.close()
    child.stdout.close()
    return child.wait() == -signal.SIGKILL


def interrupted(recipe: str, source: Path, folder: Path, steps: int, kills: list[int]) -> None:
    """Trains once without and once with kills after so many steps each; compares weights and logs."""
    arguments: dict[str, Any] = {"source": str(source), "recipe": recipe, "steps": steps, "seed": 7, **TINY[recipe]}
    finish(arguments | {"out": folder / "whole"})
    arguments |= {"out": str(folder / "killed"), "checkpoint_seconds": 0.0}
    for number, after in enumerate(kills):
        assert kill_after(arguments | {"resume": number > 0}, after), "it ended before it was killed"
    done = finish(arguments | {"resume": True})
    assert sum(1 for p in done if p.step) < steps, "it began anew"
    assert same(folder / "whole", folder / "killed")
    for name in ("whole", "killed"):
        steps_told = [row["step"] for row in log(folder / name)]
        assert steps_told == sorted(set(steps_told)) and steps_told[-1] == steps
    assert models.card(folder / "killed")["stages"] == models.card(folder / "whole")["stages"]
    assert not (folder / "killed.run").exists()


@pytest.mark.parametrize("recipe,kills", [("image_gan", [3, 4]), ("image_gpt", [3, 4, 5]), ("text_gpt", [2])])
def test_a_killed_run_ends_with_the_same_bits(recipe: str, kills: list[int], source: Path, tmp_path: Path):
    """In image_gpt the first kill falls into the codec's stage, the last into the other."""
    interrupted(recipe, source, tmp_path, 24, kills)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["image_gpt", "image_gan"])
def test_ten_kills_at_random_moments(recipe: str, source: Path, tmp_path: Path):
    """At which moment of a step, chance alone says."""
    kills = torch.randint(2, 20, (10,), generator=torch.Generator().manual_seed(0)).tolist()
    interrupted(recipe, source, tmp_path, 300, kills)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(source: Path, tmp_path: Path):
    arguments = {"source": str(source), "recipe": "text_gpt", "steps": 6, **TINY["text_gpt"]}
    finish(arguments | {"out": tmp_path / "whole"})
    run: Any = runs.training(**arguments, out=tmp_path / "left")
    while not next(run).step:
        pass
    run.close()
    finish(arguments | {"out": tmp_path / "left", "resume": True})
    assert same(tmp_path / "whole", tmp_path / "left")
    assert [row["step"] for row in log(tmp_path / "left")][-1] == 6


def left_over(source: Path, folder: Path, **more: Any) -> dict[str, Any]:
    """A run that was stopped after four steps; the arguments it began with."""
    arguments = {
        "source": source,
        "recipe": "text_gpt",
        "out": folder,
        "steps": 8,
        "seed": 2,
        **TINY["text_gpt"],
        **more,
    }
    run: Any = runs.training(**arguments, checkpoint_seconds=0.0)
    while not ((progress := next(run)).step and progress.step.step == 4):
        pass
    run.close()
    return arguments


@pytest.mark.parametrize(
    "other,said",
    [
        ({"seed": 3}, "seed=3"),
        ({"steps": 9}, "steps=9"),
        ({"width": 64}, "width=64"),
        ({"dropout": 0.5}, "dropout=0.5"),
        ({"steps": None, "budget": "20s"}, "seconds=20"),
        ({"recipe": "text_bert"}, "recipe=text_bert"),
    ],
)
def test_another_run_is_not_resumed(other: dict[str, Any], said: str, source: Path, tmp_path: Path):
    arguments = left_over(source, tmp_path / "model")
    with pytest.raises(Refusal, match=said):
        finish(arguments | {"resume": True} | other)
    finish(arguments | {"resume": True})  # it is still there


def test_what_is_left_out_on_resuming_is_as_it_was(source: Path, tmp_path: Path):
    left_over(source, tmp_path / "model")
    finish({"source": source, "recipe": "text_gpt", "out": tmp_path / "model", "resume": True})
    finish(left_over(source, tmp_path / "whole"))
    assert same(tmp_path / "whole", tmp_path / "model")
    assert models.card(tmp_path / "model")["seed"] == 2
    assert models.card(tmp_path / "model")["options"]["width"] == 32


def test_a_run_is_not_resumed_on_other_data(source: Path, tmp_path: Path):
    arguments = left_over(source, tmp_path / "model")
    (tmp_path / "other.txt").write_text("quite another text, of some length. " * 30)
    with pytest.raises(Refusal, match="data have changed"):
        finish(arguments | {"source": tmp_path / "other.txt", "resume": True})


@pytest.mark.parametrize("wrong", [{"source": "missing.txt"}, {"tokens": "7"}])
def test_a_training_that_is_refused_leaves_an_interrupted_one(wrong: dict[str, Any], source: Path, tmp_path: Path):
    arguments = left_over(source, tmp_path / "model")
    with pytest.raises(Refusal):
        finish(arguments | wrong)
    finish(arguments | {"resume": True})
    finish(left_over(source, tmp_path / "whole"))
    assert same(tmp_path / "whole", tmp_path / "model")


def test_no_evidence_is_remembered_on_resuming(source: Path, tmp_path: Path):
    left_over(source, tmp_path / "model", keep_evidence=False)
    finish({"source": source, "recipe": "text_gpt", "out": tmp_path / "model", "resume": True})
    assert not (tmp_path / "model" / EVIDENCE).exists()


@pytest.mark.parametrize("name", ["README.md", "training.jsonl"])
def test_a_file_of_ones_own_is_in_the_way_before_any_work(name: str, source: Path, tmp_path: Path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(Refusal, match=f"holds a {name} that is not part of a septet model"):
        runs.Run(source, "text_gpt", tmp_path, steps=2)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_nothing_to_resume_is_refused_and_leaves_nothing(source: Path, tmp_path: Path):
    with pytest.raises(Refusal, match="nothing to resume"):
        finish({"source": source, "recipe": "text_gpt", "out": tmp_path / "model", "steps": 2, "resume": True})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"recipe": "text_gpt"}'])
def test_a_run_whose_record_is_broken_says_so(content: str, source: Path, tmp_path: Path):
    arguments = left_over(source, tmp_path / "model")
    (tmp_path / "model.run" / "run.json").write_text(content)
    with pytest.raises(Refusal, match=r"run\.json cannot be read .*; train without --resume"):
        finish(arguments | {"resume": True})


FOREIGN: list[tuple[dict[str, Any], str]] = [
    ({"options": {"evil": 1}}, "option 'evil=1': text_gpt takes"),
    ({"options": {"source": "/"}}, "option 'source=/': text_gpt takes"),
    ({"options": {"width": "wide"}}, "width=wide: expected a whole number"),
    ({"options": {"rate": [1]}}, r"rate=\[1\]: expected a number"),
    ({"options": {"dropout": "\x1b[2J"}}, r"dropout='\\x1b\[2J': expected a number"),
    ({"options": {"tokens": None}}, "tokens=None: expected a text"),
    ({"options": {"width": 10**9}}, "width=1000000000: expected 0 to"),
    ({"options": [1]}, "it records no run"),
    ({"seed": "x"}, "it records no run"),
    ({"seed": -1}, "seed=-1: expected a whole number"),
    ({"steps": "many"}, "it records no run"),
    ({"steps": 0}, "it records no run"),
    ({"steps": None}, "it records no run"),
    ({"seconds": 5}, "it records no run"),
    ({"steps": None, "seconds": 1e15}, "it records no run"),
    ({"recipe": ["text_gpt"]}, "it records no run"),
    ({"start": 5}, "it records no run"),
    ({"canaries": "x"}, "it records no run"),
    ({"canaries": -1}, "canaries=-1"),
    ({"keep": "x"}, "it records no run"),
    ({"evidence": "x"}, "it records no run"),
]


def test_a_run_whose_record_is_from_elsewhere_is_a_sentence(source: Path, tmp_path: Path):
    left_over(source, tmp_path / "model")
    record = tmp_path / "model.run" / "run.json"
    begun = json.loads(record.read_text())
    for change, said in FOREIGN:
        record.write_text(json.dumps(begun | change))
        with pytest.raises(Refusal, match=said) as refused:
            finish({"source": source, "recipe": "text_gpt", "out": tmp_path / "model", "resume": True})
        assert str(refused.value).isprintable()
    record.write_text(json.dumps(begun))
    finish({"source": source, "recipe": "text_gpt", "out": tmp_path / "model", "resume": True})  # it is still there


def overfitted(source: Any, seed: int = 0, start: Any = None, seconds: float | None = None, rate: float = 0.1) -> Plan:
    """A model far too eager for its few words: the validation loss rises early."""
    plan = text_gpt.text_gpt(source, seed, tokens="bytes", length=16, width=64, layers=2, batch=4)
    plan.stages[0].settings = Settings(rate=rate, average=0.5, decay=0.1)
    return plan


def test_the_best_weights_are_kept_and_said(tmp_path: Path):
    text = "".join(chr(97 + int(n)) for n in torch.randint(26, (150,), generator=torch.manual_seed(0)))
    (tmp_path / "noise.txt").write_text(text)
    last = finish({"source": tmp_path / "noise.txt", "recipe": overfitted, "out": tmp_path / "model", "steps": 120})[-1]
    rows = [row for row in log(tmp_path / "model") if "validation_loss" in row]
    losses = {row["step"]: row["validation_loss"] for row in rows}
    best = min(losses, key=losses.__getitem__)
    assert best < 120 and losses[best] + 0.1 < losses[120], "the toy did not overfit"
    assert last.message and f"the weights of step {best} were kept" in last.message
    stage = models.card(tmp_path / "model")["stages"]["gpt"]
    assert stage["kept_step"] == best
    assert stage["validation_loss"] == pytest.approx(losses[best], abs=1e-3)
