"""Runs untrusted Python code in a separate process, isolated, with limited time and memory, in an empty folder."""

import resource
import subprocess
import sys
import tempfile
from functools import partial

SECONDS, BYTES = 10, 1 << 30


def _limited(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    resource.setrlimit(resource.RLIMIT_NPROC, (64, 64))


def passes(program: str, seconds: int = SECONDS) -> bool:
    """Whether the program exits without an error, within the limit of CPU time."""
    with tempfile.TemporaryDirectory(prefix="septet-sandbox-") as folder:
        try:
            ended = subprocess.run(
                [sys.executable, "-I", "-c", program],
                cwd=folder,
                env={},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=2 * seconds,
                preexec_fn=partial(_limited, seconds),
            )
        except subprocess.TimeoutExpired:
            return False
    return ended.returncode == 0
