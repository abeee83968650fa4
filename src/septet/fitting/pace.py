"""The length of training: a number of steps, or a wall-clock budget."""

import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from .. import ranks
from ..space import Refusal

MOST_SECONDS = 30 * 86400
UNITS = {"h": 3600, "m": 60, "s": 1}
WATTS_A_THREAD = 10  # assumed per busy CPU core, with its share of memory and cooling; not measured


def seconds_of(budget: str | float) -> float:
    """Parses "90s", "20m" or "1h30m" to seconds; a number is in seconds. Raises Refusal unless 5 seconds to 30 days."""
    text = str(budget).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    elif re.fullmatch(r"(\d+(\.\d+)?[hms])+", text):
        seconds = sum(float(n) * UNITS[u] for n, _, u in re.findall(r"(\d+(\.\d+)?)([hms])", text))
    else:
        raise Refusal(f"budget {budget!r}: expected a time such as 90s, 20m or 1h30m")
    if not 5 <= seconds <= MOST_SECONDS:
        raise Refusal(f"budget {budget!r}: expected 5 seconds to 30 days")
    return seconds


def process_started() -> float:
    """The start of this process, in seconds since the epoch; without /proc, the time when this module was loaded."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - (up - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return _LOADED


_LOADED = time.time()


def peak_memory_bytes() -> int:
    """The peak memory of this process."""
    import resource  # not available on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass
class Pace:
    """The length of a stage: `steps`, or until `seconds` of training time have passed since the start of the run.
    `before`: seconds already used when the stage began or was resumed; `stage_before`: when the stage began;
    `reserve_seconds`: kept for the work after the last step; `most`: maximum number of steps within a budget."""

    steps: int | None = None
    seconds: float | None = None
    before: float = 0.0
    stage_before: float = 0.0
    reserve_seconds: float = 1.0
    most: int | None = None
    began: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        return self.before + time.monotonic() - self.began

    def progress(self, step: int) -> float:
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        span = self.seconds - self.reserve_seconds - self.stage_before
        passed = (self.elapsed() - self.stage_before) / max(span, 1e-6)
        return ranks.agreed(min(1.0, max(0.0, passed, step / self.most if self.most else 0.0)))
