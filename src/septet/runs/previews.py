"""Previews of a training run: the same prompts and seeds drawn again at twelve moments, one row below another."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from ..folders import whole
from ..folders.pictures import png
from ..generator import Generator
from ..output import Outputs

MOMENTS = [10 ** (-2 + 2 * k / 11) for k in range(12)]  # shares of the time at which they are drawn
SIZE = 96  # pixels of one preview
SHARE = 1 / 20  # of the time, at most


class Previews:
    """The rows drawn so far, kept in the picture `path`. `seconds` is how long the last took."""

    def __init__(self, path: Path, prompts: list[Any]):
        self.path, self.prompts, self.seconds = path, prompts, 0.0
        self.rows: list[Image.Image] = []

    def restore(self, count: int) -> None:
        """Take the first `count` rows from the picture of the run before."""
        if count and self.path.exists():
            with Image.open(self.path) as whole:
                self.rows = list(cut(whole.convert("RGB"), count))

    def due(self, progress: float, active_seconds: float | None) -> bool:
        """Whether a moment has come, and time is left for it: `active_seconds` is None where time does not matter."""
        if not self.prompts or self._moments(progress) <= len(self.rows):
            return False
        drawn = len(self.rows) + 1
        return progress >= 1 or active_seconds is None or self.seconds * drawn <= SHARE * active_seconds

    def draw(self, generator: Generator, progress: float) -> None:
        """Draw the row of this moment, and in place of those that there was no time for."""
        began = time.monotonic()
        requests = [(prompt, seed) for seed, prompt in enumerate(self.prompts)]
        moments = generator.generating(requests, tile=len(requests))
        drawn = Outputs(output for moment in moments for output in moment.outputs)
        row = drawn.sheet(SIZE, columns=len(drawn)).convert("RGB")
        self.rows += [row] * (self._moments(progress) - len(self.rows))
        self.seconds = time.monotonic() - began
        whole.write(self.path, _stacked(self.rows))

    def _moments(self, progress: float) -> int:
        return sum(moment <= progress + 1e-9 for moment in MOMENTS)


def cut(whole: Image.Image, count: int) -> Iterator[Image.Image]:
    """The first `count` rows of a sheet of previews."""
    height = SIZE + 2 * max(1, SIZE // 16)  # as Outputs.sheet makes them
    for top in range(0, min(count * height, whole.height - height + 1), height):
        yield whole.crop((0, top, whole.width, top + height))


def _stacked(rows: list[Image.Image]) -> bytes:
    """The rows one below another, as a PNG."""
    whole = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    return png(whole)
