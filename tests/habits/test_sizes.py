"""Files, functions and signatures stay short enough to read in one sitting."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "septet"
FILES = sorted(SOURCE.rglob("*.py"))
FILE_LINES, FUNCTION_LINES, PARAMETERS = 250, 40, 7


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement to the last, a docstring apart."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "tests").rglob("*.py"))], ids=label)
def test_a_long_file_gives_its_reason(path: Path):
    lines = path.read_text().splitlines()
    reason = any(f"over {FILE_LINES} lines because" in line.lower() for line in lines[:10])
    assert len(lines) <= FILE_LINES or reason, (
        f"{len(lines)} lines: split by idea, or say why not on its first lines: 'Over {FILE_LINES} lines because ...'"
    )


@pytest.mark.parametrize("path", FILES, ids=label)
def test_functions_are_short(path: Path):
    long = {f.name: code_lines(f) for f in functions(path) if code_lines(f) > FUNCTION_LINES}
    assert not long or "recipes" in path.parts, f"over {FUNCTION_LINES} lines: {long}"


@pytest.mark.parametrize("path", FILES, ids=label)
def test_signatures_are_short(path: Path):
    """A command, a recipe, a constructor or a draw may have more: its signature is its list of options."""
    if "recipes" in path.parts or path.name == "cli.py" or SOURCE / "cli" in path.parents:
        return
    wide = {}
    for function in functions(path):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        count = len([a for a in arguments if a.arg not in ("self", "cls")])
        if count > PARAMETERS and function.name not in ("__init__", "draws"):
            wide[function.name] = count
    assert not wide, f"over {PARAMETERS} parameters: {wide}"
