"""What .gitignore files leave out, against git itself."""

import os
import shutil
import subprocess

import pytest

from septet.data.files import listed

RULES = {
    ".gitignore": "\ufeff*.log\n!keep.log\n/build\ndocs/**/draft*\ntemp/\n",
    "src/.gitignore": "*.tmp\n!/important.tmp\n",
    "src/deep/.gitignore": "!*.log\n",
}
FILES = [
    "a.py", "x.log", "keep.log", "build/b.py", "src/build/c.py", "docs/one/draft1.py", "docs/final.py", "temp/t.py",
    "src/temp", "src/a.tmp", "src/important.tmp", "src/deep/important.tmp", "src/deep/y.log", "src/z.log",
]  # fmt: skip


@pytest.fixture
def repository(tmp_path):
    for name, content in {**RULES, **dict.fromkeys(FILES, "text\n")}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("below", [".", "src", "src/deep"])
def test_it_leaves_out_what_git_does(repository, below):
    ignoring = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "XDG_CONFIG_HOME": os.devnull}
    plain = os.environ | ignoring  # what a person's own settings leave out besides
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True, env=plain)
    folder = repository / below
    command = ["git", "ls-files", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env=plain).stdout.split()
    found = [path.relative_to(folder).as_posix() for path in listed(folder, tracked=True)]
    assert sorted(found) == sorted(name for name in told if not name.endswith(".gitignore"))


def test_a_rule_that_cannot_be_read_is_passed_over(tmp_path):
    (tmp_path / ".gitignore").write_text("!\n[z-a]\nback\\\n*.log\n")
    for name in ("a.py", "x.log"):
        (tmp_path / name).write_text("text\n")
    assert [path.name for path in listed(tmp_path, tracked=True)] == ["a.py"]


def test_without_asking_nothing_is_left_out(repository):
    assert len(listed(repository)) == len(FILES)
