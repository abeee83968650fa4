"""Outputs of any kind, generated in steps, and their files."""

import tempfile
from collections.abc import Generator as Steps
from pathlib import Path
from typing import Any

from ..contracts import Prompt
from ..generator import Generator
from ..output import Output


def drawn(model: Generator, prompt: Prompt, count: int, seed: int) -> Steps[list[Output], Any, None]:
    """Generates outputs; yields those that each step finished."""
    for moment in model.generating([(prompt, seed + number) for number in range(count)], tile=count):
        yield moment.outputs


def file(output: Output, suffix: str) -> bytes:
    """The bytes of an output's file."""
    with tempfile.TemporaryDirectory(prefix="septet-") as folder:
        return output.save(Path(folder) / "made", suffix).read_bytes()
