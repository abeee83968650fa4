"""Previews of a training run: samples for the same prompts and seeds at twelve moments, one row for each."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from ..generator import Generator
from ..output import Outputs
from ..storage import whole
from ..storage.pictures import png

MOMENTS = [10 ** (-2 + 2 * k / 11) for k in range(12)]  # shares of the run at which they are generated
SIZE = 96  # pixels of one preview
SHARE = 1 / 20  # largest share of the time


class Previews:
    """The rows so far, kept in the picture `path`. `seconds` is the time that the last one took."""

    def __init__(self, path: Path, prompts: list[Any]):
        self.path, self.prompts, self.seconds = path, prompts, 0.0
        self.rows: list[Image.Image] = []

    def restore(self, count: int) -> None:
        """Restores the first `count` rows from the picture of an interrupted run."""
        if count and self.path.exists():
            with Image.open(self.path) as whole:
                self.rows = list(cut(whole.convert("RGB"), count))

    def due(self, progress: float, active_seconds: float | None) -> bool:
        """Whether a preview is due and there is time for it; `active_seconds` is None if time is not limited."""
        if not self.prompts or self._moments(progress) <= len(self.rows):
            return False
        drawn = len(self.rows) + 1
        return progress >= 1 or active_seconds is None or self.seconds * drawn <= SHARE * active_seconds

    def draw(self, generator: Generator, progress: float) -> None:
        """Generates the row of this moment; it also fills the rows that were skipped for lack of time."""
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
    height = SIZE + 2 * max(1, SIZE // 16)  # as in Outputs.sheet
    for top in range(0, min(count * height, whole.height - height + 1), height):
        yield whole.crop((0, top, whole.width, top + height))


def _stacked(rows: list[Image.Image]) -> bytes:
    """The rows stacked vertically, as a PNG."""
    whole = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    return png(whole)
