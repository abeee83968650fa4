"""The examples of CONTRIBUTING.md run as they stand: a modality, and a process, in two files each; and the modality
goes through every command once its files lie where those that ship do."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from installed import installed

from septet import models

ROOT = Path(__file__).parents[2]
NAMES = ["anna", "hannah", "ana", "nana", "johanna", "susanna", "joanna", "diana", "ada", "dana", "nadja", "hanna"]


def blocks(heading: str) -> list[str]:
    """The Python blocks below a heading of CONTRIBUTING.md."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def written(folder: Path, heading: str) -> list[str]:
    """Writes the files of a section; gives the names of the modules, and leaves out the block that tries them."""
    modules = []
    for block in blocks(heading):
        first = block.splitlines()[0]
        if first != "# try it":
            modules.append(first.removeprefix("# "))
            (folder / modules[-1]).write_text(block)
    return modules


@pytest.mark.parametrize("what,suffix", [("modality", ".txt"), ("process", ".txt")])
def test_two_files_are_enough(what: str, suffix: str, tmp_path: Path):
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "list.txt").write_text("\n".join(NAMES))
    modules = written(tmp_path, f"Add a {what} in two files")
    assert len(modules) == 2
    written(tmp_path, "Add a modality in two files")
    (tried,) = [block for block in blocks(f"Add a {what} in two files") if block.startswith("# try it")]
    script = tmp_path / "tried.py"
    script.write_text(tried)
    run = subprocess.run([sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    made = sorted((tmp_path / "made").glob(f"*{suffix}"))
    assert len(made) == 4
    letters = set("".join(path.read_text() for path in made))
    assert letters and letters <= set("".join(NAMES))


def test_a_kind_that_ships_is_trained_audited_and_served(tmp_path: Path, monkeypatch, septet):
    for package, name in (("modalities", "names"), ("recipes", "names_gpt")):
        (tmp_path / package).mkdir()
        (block,) = [b for b in blocks("Add a modality in two files") if b.startswith(f"# {name}.py")]
        own = block.replace("from names import", "from septet.modalities.names import")
        (tmp_path / package / f"{name}.py").write_text(own)
    monkeypatch.chdir(tmp_path)
    with installed(tmp_path):
        _goes_through_every_command(septet)


def _goes_through_every_command(septet) -> None:
    from fastapi.testclient import TestClient

    from septet.serve.api import Server, application
    from septet.serve.engine import Engine

    Path("data").mkdir()
    Path("data/list.txt").write_text("\n".join(NAMES))
    for words in (
        ("train", "data", "--recipe", "names_gpt", "--steps", "5", "--out", "models/names"),
        ("audit", "data", "--kind", "names"),
        ("audit", "models/names", "--count", "12"),
        ("generate", "models/names", "an", "--seed", "3"),
        ("audit", "made/names-3.txt"),
    ):
        code, _, error = septet(*words)
        assert code == 0, error
    assert Path("made/names-3.txt").read_text().startswith("an")
    with TestClient(application(Server(Engine(models.load), lambda: ["models/names"], {}))) as client:
        answer = client.post("/v1/generations", json={"model": "models/names", "n": 2, "seed": 3})
    assert answer.status_code == 200 and len(answer.json()["data"]) == 2
