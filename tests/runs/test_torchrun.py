"""torchrun starts two ranks that train one model: one writes and speaks; killed, they go on to the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from running import TINY, finish, log, same

from septet import models
from septet.runs import checkpoints, run_folder
from septet.space import Refusal

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
STOPPED = """
import hashlib, json, os, sys, time
from pathlib import Path
from septet import ranks, runs
arguments, after = json.loads(sys.argv[1]), int(sys.argv[2])
told = Path(arguments["out"]).parent / f"rank-{ranks.rank()}.json"
done = 0
for progress in runs.training(**arguments):
    done += progress.step is not None
    if done == after:
        weights = b"".join(value.numpy().tobytes() for value in progress.step.capture()["learner"].values())
        told.with_suffix(".new").write_text(json.dumps([os.getpid(), hashlib.sha256(weights).hexdigest()]))
        told.with_suffix(".new").rename(told)
    elif done == after + 2:
        time.sleep(600)  # it is killed here, or before
"""
TIMED = """
import json, sys, time
from septet import ranks, runs
list(runs.training(**json.loads(sys.argv[1]), began=time.time() - 5 * ranks.rank()))
"""


def torchrun(*words: object) -> subprocess.CompletedProcess[str]:
    command = [*TORCHRUN, "-m", "septet", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)


def kill_after(arguments: dict[str, Any], steps: int, folder: Path) -> list[str]:
    """Starts a run of two ranks and kills torchrun and both at once, after so many steps; a digest of the weights that
    each rank held then."""
    script = folder / "stopped.py"
    script.write_text(STOPPED)
    told = [folder / f"rank-{rank}.json" for rank in range(2)]
    with open(folder / "said", "w") as said:
        job = subprocess.Popen(
            [*TORCHRUN, str(script), json.dumps(arguments), str(steps)], stdout=said, stderr=said, env=ENVIRONMENT
        )
    while not all(path.exists() for path in told):
        assert job.poll() is None, (folder / "said").read_text()
        time.sleep(0.05)
    found = [json.loads(path.read_text()) for path in told]
    for process in (job.pid, *(process for process, _ in found)):
        os.kill(process, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    wait_until_free(run_folder(Path(arguments["out"])))
    return [digest for _, digest in found]


def wait_until_free(root: Path) -> None:
    """A process that was killed holds its lock until the system has taken it apart."""
    while True:
        with suppress(Refusal), checkpoints.lock(root):
            return
        time.sleep(0.05)


def words(recipe: str, source: Path, out: Path, steps: int) -> list[object]:
    options = [f"{name}={value}" for name, value in TINY[recipe].items()]
    kind = recipe.partition("_")[0]
    return ["train", kind, source, *options, "--recipe", recipe, "--steps", steps, "--seed", 7, "--out", out]


def test_two_ranks_killed_go_on_to_the_same_bits(source: Path, tmp_path: Path):
    """The kill falls into the second of two stages."""
    given, steps = TINY["image_gpt"], 16
    whole = torchrun(*words("image_gpt", source, tmp_path / "whole", steps), "--from", "nothing")
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.count("saved") == 1 and whole.stdout.count("Cost") == 1 and whole.stderr.count("held out") == 1
    arguments = {"source": str(source), "recipe": "image_gpt", "steps": steps, "seed": 7, "checkpoint_seconds": 0.0}
    digests = kill_after(arguments | given | {"out": str(tmp_path / "killed")}, 11, tmp_path)
    assert digests[0] == digests[1]
    with pytest.raises(Refusal, match="this run has 2 ranks, not 1"):
        finish({"source": source, "recipe": "image_gpt", "out": tmp_path / "killed", "resume": True, **given})
    resumed = torchrun(*words("image_gpt", source, tmp_path / "killed", steps), "--from", "nothing", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert same(tmp_path / "whole", tmp_path / "killed") and not (tmp_path / "killed.run").exists()
    for name in ("whole", "killed"):
        told = [row["step"] for row in log(tmp_path / name)]
        assert told == sorted(set(told)) and told[-1] == steps
    assert models.card(tmp_path / "killed")["stages"] == models.card(tmp_path / "whole")["stages"]
    assert models.card(tmp_path / "whole")["threads"] == 2


@pytest.mark.slow
def test_a_budget_ends_two_ranks_together(source: Path, tmp_path: Path):
    """However different their clocks: one rank began to count five seconds before the other."""
    script, arguments = tmp_path / "timed.py", {"source": str(source), "recipe": "text_gpt", "budget": 20}
    script.write_text(TIMED)
    arguments |= {"out": str(tmp_path / "model"), **TINY["text_gpt"]}
    run = subprocess.run([*TORCHRUN, str(script), json.dumps(arguments)], env=ENVIRONMENT)
    assert run.returncode == 0 and models.card(tmp_path / "model")["stages"]["gpt"]["validation_loss"] > 0
    assert (tmp_path / "model" / "previews.png").exists()


def test_more_ranks_than_batches_are_refused_in_one_sentence(source: Path, tmp_path: Path):
    run = torchrun("train", "image", source, "batch=8", "--steps", 4, "--from", "nothing", "--out", tmp_path / "model")
    assert run.returncode and not (tmp_path / "model").exists() and not (tmp_path / "model.run").exists()
    said = [line for line in run.stderr.splitlines() if line.startswith("septet: ")]
    assert said == ["septet: 2 ranks, but 1 full batches of data: lower batch=, or start fewer ranks"]


@pytest.fixture(params=[0, 1])
def rank(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """This process is one of two ranks."""
    for name, value in (("RANK", request.param), ("WORLD_SIZE", 2), ("LOCAL_WORLD_SIZE", 2)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("septet.ranks.GRACE_SECONDS", 0.0)
    return request.param


@pytest.mark.parametrize(
    "words,sentence",
    [
        (["generate", "icons", "bell"], "only train runs under torchrun; start other commands without it"),
        (["train", "text", "FILES", "--device", "cuda:1"], "device 'cuda:1': each of 2 ranks uses a GPU of its own"),
    ],
)
def test_what_ranks_cannot_do_is_refused(words: list[str], sentence: str, rank: int, source: Path, septet):
    """A rank that alone has something to say does so in the end."""
    code, out, error = septet(*(source if word == "FILES" else word for word in words))
    assert code == 2 and not out and error.startswith(f"septet: {sentence}")


def test_ranks_on_several_machines_are_refused(rank: int, source: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    with pytest.raises(Refusal, match="1 of 2 ranks run on this machine"):
        finish({"source": source, "recipe": "text_gpt", "out": tmp_path / "model", "steps": 2, **TINY["text_gpt"]})
    assert not list(tmp_path.iterdir())


def test_a_single_process_loads_nothing_for_ranks():
    code = "from septet import fitting, ranks, sys; ranks.summed([1.0]); print(ranks.world(), ranks.first())"
    code = code.replace(", sys", "") + "\nimport torch.distributed; print(torch.distributed.is_initialized())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert run.stdout.split() == ["1", "True", "False"], run.stderr
