"""The checkpoint store: damage is named and passed over, nothing begins from zero unasked, two trainers never meet."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from septet.runs import checkpoints
from septet.space import Refusal


def tensors(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {"w": torch.randn(3, 4, generator=generator), "stream": generator.get_state(), "t": torch.tensor(step)}


def fill(root: Path, *steps: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for step in steps:
        checkpoints.commit(root, step, tensors(step), {"step": step, "best": float("inf")}, keep=3)


def step_of(root: Path) -> int:
    found = checkpoints.latest(root)
    assert found is not None
    held, facts = found
    expected = tensors(facts["step"])
    assert held.keys() == expected.keys() and all(torch.equal(held[name], expected[name]) for name in held)
    return facts["step"]


def test_the_newest_comes_back_bit_for_bit(tmp_path: Path):
    root = tmp_path / "run"
    assert checkpoints.latest(root) is None
    fill(root, 5, 10, 100_000_000, 15)
    assert step_of(root) == 100_000_000
    assert len(list(root.iterdir())) == 3


def test_only_the_newest_are_kept(tmp_path: Path):
    fill(tmp_path, 1, 2, 3)
    checkpoints.commit(tmp_path, 4, tensors(4), {"step": 4}, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000004"]


def test_a_step_can_be_stored_again(tmp_path: Path):
    fill(tmp_path, 1, 2)
    checkpoints.commit(tmp_path, 2, {"w": torch.ones(1)}, {"again": True})
    found = checkpoints.latest(tmp_path)
    assert found is not None and found[1] == {"again": True}


def test_tensors_that_share_memory(tmp_path: Path):
    whole = torch.arange(12.0).view(3, 4)
    checkpoints.commit(tmp_path, 1, {"whole": whole, "row": whole[1], "turned": whole.mT, "same": whole}, {})
    found = checkpoints.latest(tmp_path)
    assert found is not None
    assert torch.equal(found[0]["row"], whole[1]) and torch.equal(found[0]["turned"], whole.mT)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


STATE, FACTS, MANIFEST = checkpoints.STATE, checkpoints.FACTS, "manifest.json"
DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped bit": lambda f: flip(f / STATE),
    "truncated": lambda f: os.truncate(f / STATE, 50),
    "zero-filled": lambda f: (f / STATE).write_bytes(bytes((f / STATE).stat().st_size)),
    "missing state": lambda f: (f / STATE).unlink(),
    "empty manifest": lambda f: (f / MANIFEST).write_text(""),
    "manifest of nothing": lambda f: (f / MANIFEST).write_text('{"format": 1, "files": {}}'),
    "manifest of a list": lambda f: (f / MANIFEST).write_text("[1]"),
    "manifest of strings": lambda f: (f / MANIFEST).write_text('{"format": 1, "files": {"facts.json": "x"}}'),
    "missing manifest": lambda f: (f / MANIFEST).unlink(),
    "flipped facts": lambda f: flip(f / FACTS),
    "missing facts": lambda f: (f / FACTS).unlink(),
    "empty folder": lambda f: [path.unlink() for path in f.iterdir()],
}


@pytest.mark.hostile
@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_quarantined_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str):
    fill(tmp_path, 5, 10)
    DAMAGES[name](tmp_path / "step-00000010")
    assert step_of(tmp_path) == 5
    assert "step-00000010" in caplog.text and "an older one is used" in caplog.text
    assert len(list(tmp_path.glob("corrupt-step-00000010-*"))) == 1
    fill(tmp_path, 10)
    assert step_of(tmp_path) == 10


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_step_can_be_stored_again_unseen(tmp_path: Path, name: str):
    fill(tmp_path, 5, 10)
    DAMAGES[name](tmp_path / "step-00000010")
    fill(tmp_path, 10)
    assert step_of(tmp_path) == 10


def test_all_damaged_is_refused_every_time_until_cleared(tmp_path: Path):
    fill(tmp_path, 5, 10)
    for folder in tmp_path.iterdir():
        flip(folder / STATE)
    for _ in range(3):
        with pytest.raises(Refusal, match="every checkpoint is damaged"):
            checkpoints.latest(tmp_path)
    checkpoints.clear(tmp_path)
    assert checkpoints.latest(tmp_path) is None and list(tmp_path.iterdir()) == []


def test_what_a_kill_left_is_swept(tmp_path: Path):
    fill(tmp_path, 5)
    (tmp_path / ".step-00000006.tmp-1").mkdir()
    (tmp_path / ".step-00000006.tmp-1" / STATE).write_text("half")
    assert step_of(tmp_path) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]


def test_nan_is_not_stored(tmp_path: Path):
    fill(tmp_path, 5)
    with pytest.raises(Refusal, match="w holds NaN or infinity"):
        checkpoints.commit(tmp_path, 6, {"w": torch.tensor([float("nan")])}, {})
    assert step_of(tmp_path) == 5


def child(code: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", f"import sys\nfrom pathlib import Path\n{code}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_full_disk_leaves_the_older_checkpoint(tmp_path: Path):
    fill(tmp_path, 5)
    code = """
import resource, torch
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from septet.runs import checkpoints
from septet.space import Refusal
try: checkpoints.commit(Path(sys.argv[1]), 6, {"w": torch.zeros(10_000)}, {}, keep=1)
except Refusal as error: print(error)
"""
    run = child(code, tmp_path)
    assert "File too large; free some space" in run.stdout and str(tmp_path) in run.stdout, run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"] and step_of(tmp_path) == 5


def test_a_second_trainer_is_refused(tmp_path: Path):
    code = """
from septet.runs import checkpoints
try:
    with checkpoints.lock(Path(sys.argv[1])): print("locked")
except ValueError as error: print(error)
"""
    with checkpoints.lock(tmp_path / "run"):
        assert f"process {os.getpid()} is training here" in child(code, tmp_path / "run").stdout
        with pytest.raises(Refusal, match="is training here"), checkpoints.lock(tmp_path / "run"):
            pass
    assert child(code, tmp_path / "run").stdout == "locked\n"


def test_the_log_is_cut_to_the_checkpoint(tmp_path: Path):
    path = tmp_path / "training.jsonl"
    checkpoints.truncate_log(path, 3)
    assert not path.exists()
    rows = [json.dumps({"step": step, "loss": step / 3}) + "\n" for step in (1, 2, 3, 4, 5)]
    path.write_text("".join(rows) + '{"step": 1, "lo')
    checkpoints.truncate_log(path, 3)
    assert path.read_text() == "".join(rows[:3])
    path.write_text(rows[0].strip())
    checkpoints.truncate_log(path, 3)
    assert path.read_text() == ""


def test_an_optimisers_state_comes_back(tmp_path: Path):
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(layer.parameters(), betas=(0.8, 0.9))
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    tree = {"optimiser": optimiser.state_dict(), "pair": (1, [torch.ones(2), None]), 3: {True: "x"}, "empty": {}}
    flat, skeleton = checkpoints.flatten(tree)
    assert "optimiser/state/0/exp_avg" in flat
    checkpoints.commit(tmp_path, 1, flat, {"tree": skeleton})
    found = checkpoints.latest(tmp_path)
    assert found is not None
    back = checkpoints.unflatten(found[0], found[1]["tree"])
    assert back["optimiser"]["param_groups"] == optimiser.state_dict()["param_groups"]
    moments = optimiser.state_dict()["state"][0]
    assert all(torch.equal(back["optimiser"]["state"][0][name], moments[name]) for name in moments)
    assert back["pair"][0] == 1 and isinstance(back["pair"], tuple) and torch.equal(back["pair"][1][0], torch.ones(2))
    assert back[3] == {True: "x"} and back["empty"] == {}
    with pytest.raises(TypeError, match="pair/0: .* not set"):
        checkpoints.flatten({"pair": [{1}]})


def test_names_that_would_meet_stay_apart():
    tree = {"a": {"b": torch.zeros(1)}, "a/b": torch.ones(1), 1: torch.full((1,), 2.0), "1": torch.full((1,), 3.0)}
    back = checkpoints.unflatten(*checkpoints.flatten(tree))
    assert [float(v) for v in (back["a"]["b"], back["a/b"], back[1], back["1"])] == [0, 1, 2, 3]
