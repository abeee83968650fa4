"""All that the command line says goes through `septet.cli.terminal`, which replaces what would steer a terminal."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "septet"
TERMINAL = SOURCE / "cli" / "terminal.py"
WRITES = {"print", "echo", "secho", "Console", "rprint", "stdout.write", "stderr.write"}
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != TERMINAL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_else_prints(path: Path):
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    found = [call for call in calls if {call, call.rpartition(".")[2], ".".join(call.split(".")[-2:])} & WRITES]
    # What asks for conversations laid out reads the answer of a child of its own, which no terminal shows.
    assert not found or path == SOURCE / "modalities" / "chat_template.py"
