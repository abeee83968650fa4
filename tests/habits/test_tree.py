"""The tree in the README names what is there, and nothing else."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "septet"


def listed() -> set[str]:
    """Paths in the README's tree. A line is `path words`, indented under its folder; `a.py b.py` may share a line."""
    block = re.search(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block, "README.md has no ```text block with the tree"
    paths, folders = set(), []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        folders = folders[:depth]
        for word in re.split(r" {2,}", line.strip())[0].split():
            paths.add("".join([*folders, word]))
        first = line.split()[0]
        if first.endswith("/"):
            folders.append(first)
    return paths


def test_all_that_the_tree_names_is_there():
    assert not [path for path in sorted(listed()) if not (ROOT / path).exists()]


def test_the_tree_names_every_module():
    modules = {str(path.relative_to(ROOT)) for path in SOURCE.rglob("*.py") if path.name != "__init__.py"}
    modules.add("src/septet/__init__.py")
    assert not sorted(modules - listed())
