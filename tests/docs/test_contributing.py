"""The examples of CONTRIBUTING.md run as they stand: a modality, and a process, in two files each."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
