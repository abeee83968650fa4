"""A clock that goes by what is done, so that a budget holds the same work on every machine, however busy."""

import time
from typing import Any

import pytest

from septet import fitting, pace, previews, runs, stages

TIMED = (fitting, pace, previews, runs, stages)  # the modules that keep a budget


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
