"""The command page is current."""

from pathlib import Path
from typing import Any

import pytest
import typer

from septet.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()


def commands(group: Any, path: str = "septet"):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize("path, command", list(commands(typer.main.get_command(app))), ids=lambda value: str(value))
def test_the_page_tells_a_command_and_its_options(path: str, command: Any):
    heading = f" `{path}`\n"
    assert PAGE.count(heading) == 1, "run `make docs`"
    section = PAGE.split(heading)[1].split("\n## ")[0].split("\n### ")[0]
    for parameter in command.params:
        for option in parameter.opts if parameter.param_type_name == "option" else [parameter.name]:
            assert f"`{option}" in section or f", {option}" in section, "run `make docs`"
