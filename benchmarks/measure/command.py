"""Runs commands of septet as a user does."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def said(words: Sequence[object], folder: Path) -> str:
    """The output of `septet WORDS` in a folder; exits if the command fails."""
    command = [str(Path(sys.executable).with_name("septet")), *map(str, words)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    if run.returncode:
        raise SystemExit(f"septet {words[0]} ended with code {run.returncode}; its message stands above")
    return run.stdout
