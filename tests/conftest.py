"""One torch thread and one hypothesis profile for every test, set before torch loads and handed to child processes; and
the command line in this process."""

import os
from collections.abc import Callable

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
import torch

from septet.cli import main

torch.set_num_threads(1)
hypothesis.settings.register_profile("septet", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("septet")


@pytest.fixture
def septet(capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line; gives its exit code and what it wrote to stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run
