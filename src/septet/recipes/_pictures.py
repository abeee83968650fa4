"""What the recipes for pictures share: reading them at one size."""

from typing import Any

from ..generator import Generator
from ..modalities.image import Image
from ..space import Refusal
from ._grids import Gathered, gathered


def gather(
    source: Any, size: int, palette: int | None, tile: int | None, batch: int, seed: int, start: Generator | None
) -> Gathered:
    """The pictures of `source` at one size, that of the model to `start` from where there is one."""
    colours = None
    if start is not None:
        if not isinstance(start.modality, Image):
            raise Refusal(f"start={start.name}: it draws {start.modality.name}, not pictures; choose another model")
        size, palette, colours = start.modality.size, start.modality.palette, start.modality.colours
    return gathered(source, Image(size, palette, tile, colours), batch, seed, "pictures")
