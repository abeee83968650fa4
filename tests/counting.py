"""What work takes, counted so that it is the same on every machine, however busy: a clock that goes by what is done,
and lines that are run."""

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from septet.fitting import loop, pace, sizes
from septet.runs import previews, run, stages

TIMED = (loop, pace, previews, run, sizes, stages)  # the modules that keep a budget


class Clock:
    """Stands there in place of the module `time`. A look at it takes `look` seconds, and a call of what `takes` was
    told of so many as it was told."""

    def __init__(self, patch: pytest.MonkeyPatch, look: float = 0.0):
        self.patch, self.look = patch, look
        self.now = self.began = time.time()
        for module in TIMED:
            patch.setattr(module, "time", self)
        patch.setattr(stages, "Pace", lambda **given: pace.Pace(began=self.monotonic(), **given))

    def monotonic(self) -> float:
        self.now += self.look
        return self.now

    time = monotonic

    def takes(self, owner: Any, name: str, seconds: float) -> None:
        plain = getattr(owner, name)

        def timed(*given: Any, **named: Any) -> Any:
            self.now += seconds
            return plain(*given, **named)

        self.patch.setattr(owner, name, timed)

    def passed(self) -> float:
        return self.now - self.began


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python it takes, each as often as it is run: what a loop over all characters shows in."""
    count, before = 0, sys.gettrace()

    def trace(frame: Any, event: str, given: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
