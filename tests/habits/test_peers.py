"""A library that a benchmark compares with may end its process: the benchmark goes on without it."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from measure.peers import Peer  # pyright: ignore[reportMissingImports]
from measure.rounds import speeds  # pyright: ignore[reportMissingImports]


def working():
    return lambda: None


def ending_at_once():
    os.kill(os.getpid(), signal.SIGILL)


def ending():
    return ending_at_once


def failing():
    raise ValueError("no such file")


def test_a_peer_that_ends_is_told_of_and_left_out(capfd):
    peers = {"well": working, "old": ending, "older": ending_at_once, "lost": failing}
    found = speeds({"own": lambda: None} | {name: Peer(make) for name, make in peers.items()}, 1, 2, 1)
    assert {name: len(values) for name, values in found.items()} == {"own": 2, "well": 2}
    told = capfd.readouterr().out
    assert "old ended (signal SIGILL): nothing is compared with it." in told
    assert "older ended (signal SIGILL)" in told and "lost ended (ValueError: no such file)" in told
