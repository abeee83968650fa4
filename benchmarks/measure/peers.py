"""Contestants in separate processes: a library built for another processor crashes its own process, not the
benchmark."""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Ended(Exception):
    """A peer's process ended; the message says how."""


class Peer:
    """Calls `make(*arguments)` once, and its result at each call, in a child process that the first call starts. `make`
    must be importable by name."""

    def __init__(self, make: Callable[..., Callable[[], Any]], *arguments: Any):
        context = multiprocessing.get_context("spawn")
        self.here, self.there = context.Pipe()
        self.process = context.Process(target=_work, args=(self.there, make, arguments), daemon=True)

    def __call__(self) -> None:
        if self.process.pid is None:
            self.process.start()
            self.there.close()  # so that the end of the child closes the pipe
        try:
            self.here.send(None)
            error = self.here.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            code = self.process.exitcode or 0
            raise Ended(f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}") from None
        if error is not None:
            raise Ended(error)


def _work(there: Connection, make: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> None:
    try:
        work = make(*arguments)
        while True:
            there.recv()
            work()
            there.send(None)
    except EOFError:  # the benchmark ended
        pass
    except Exception as error:
        there.send(f"{type(error).__name__}: {error}")
