"""How long a training lasts: a number of steps, or a wall-clock budget."""

import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..space import Refusal

WATTS_A_THREAD = 10  # assumed of a busy processor core, with its share of memory and cooling; nothing is measured

UNITS = {"h": 3600, "m": 60, "s": 1}
MOST_SECONDS = 30 * 86400


def seconds_of(budget: str | float) -> float:
    """Seconds of "90s", "20m" or "1h30m"; numbers are seconds."""
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
    """When this process began, seconds since the epoch; where the system does not tell, when this module was loaded."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - (up - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return _LOADED


_LOADED = time.time()


def peak_memory_bytes() -> int:
    """The most memory that this process has held."""
    import resource  # not there on every system

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass
class Pace:
    """How long a stage lasts: `steps`, or until `seconds` of active time, of which `before` had passed when the stage
    (or its resumption) began, and for `most` steps at most. `reserve_seconds` of them are kept for what comes after the
    last step."""

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
        return min(1.0, max(0.0, passed, step / self.most if self.most else 0.0))
