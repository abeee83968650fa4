"""Imports go one way: from the public face down to `space`, never back. `import septet` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "septet"

# Lowest first. A module may import the rows above its own, and its own package; never a neighbour in its row.
ORDER = [
    {"space"},
    {"ranks"},
    {"part", "devices"},
    {"storage"},
    {"contracts"},
    {"backbones", "modalities", "marks"},
    {"processes", "codecs"},
    {"conditioners", "output"},
    {"generator"},
    {"data", "openweights"},
    {"originality", "models"},
    {"fitting", "text_inference"},
    {"recipes", "code_completion"},
    {"runs"},
    {"audits", "serve"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def imported(path: Path) -> set[str]:
    """The parts of septet that the file names in an import, wherever in the file it stands."""
    depth = len(path.relative_to(SOURCE).parts)  # dots that lead up to the package itself
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("septet.")}
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".") if node.module else []
            if node.level == depth:
                names |= {module[0]} if module else {alias.name for alias in node.names}
            elif node.level == 0 and module and module[0] == "septet":
                names |= {module[1]} if len(module) > 1 else {alias.name for alias in node.names}
    return names


def owner(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path):
    name = owner(path)
    assert name in RANK, f"{name} has no place in ORDER: give it one"
    wrong = {other for other in imported(path) if other != name and RANK.get(other, len(ORDER)) >= RANK[name]}
    assert not wrong, f"{path.relative_to(SOURCE)} imports {sorted(wrong)}, which are not below {name}"


@pytest.mark.parametrize("module", ["septet", "septet.cli.app"])
def test_a_light_import_loads_no_torch(module: str):
    code = f"import {module}, sys; print(sorted({{'torch', 'numpy', 'PIL', 'tokenizers'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
