"""Options and output of the benchmarks: a table for people, and one line of JSON."""

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

DATA = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Figure:
    """A result, and its threshold, if any."""

    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def judged(self) -> bool:
        return self.at_least is not None or self.at_most is not None

    @property
    def ok(self) -> bool:
        """Whether the value is finite and meets the threshold."""
        enough = self.at_least is None or self.value >= self.at_least
        return math.isfinite(self.value) and enough and (self.at_most is None or self.value <= self.at_most)

    @property
    def demand(self) -> str:
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return "" if self.at_most is None else f"at most {self.at_most:g}"


def asking(purpose: str | None) -> argparse.ArgumentParser:
    """A parser with the options of all benchmarks."""
    parser = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: tests that it runs, without thresholds")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the benchmark data")
    return parser


def answer(figures: Sequence[Figure], began: float, quick: bool, **facts: Any) -> None:
    """Prints the table and the line of JSON. `began` is time.monotonic() at the start; with `quick`, thresholds are not
    tested."""
    widest = max(len(figure.name) for figure in figures)
    for figure in figures:
        verdict = ("holds" if figure.ok else "FAILS") if figure.judged and not quick else ""
        print(f"{figure.name:{widest}} {figure.value:12,.4f} {figure.unit:12} {figure.demand:16} {verdict}".rstrip())
    thresholds = {f.name: {"at_least": f.at_least, "at_most": f.at_most} for f in figures if f.judged}
    line = {
        "figures": {f.name: f.value if math.isfinite(f.value) else None for f in figures},
        "thresholds": {name: {k: v for k, v in d.items() if v is not None} for name, d in thresholds.items()},
        "quick": quick,
        "seconds": round(time.monotonic() - began, 1),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "machine": platform.machine(),
        **facts,
        "ok": None if quick else all(figure.ok for figure in figures if figure.judged),
    }
    print(json.dumps(line, allow_nan=False))


def skip(sentence: str) -> None:
    """Prints why the benchmark was skipped."""
    print(sentence)
    print(json.dumps({"ok": None, "skipped": sentence}))
