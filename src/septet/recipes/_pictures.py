"""Shared by the recipes for pictures: reading them at one size, and training over the tokens of an FSQ codec."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..codecs.quantised import Quantised
from ..fitting import Settings
from ..fitting.sizes import Choice, Trial, choose
from ..generator import Generator
from ..modalities.image import Image
from ..space import Refusal
from . import Plan
from ._families import GRIDS
from ._grids import Gathered, coded_plan, gathered


def gather(
    source: Any, size: int, palette: int | None, tile: int | None, batch: int, seed: int, start: Generator | None
) -> Gathered:
    """Reads the pictures of `source` at one size: that of the model `start` if given, else `size` pixels a side."""
    colours = None
    if start is not None:
        if not isinstance(start.modality, Image):
            raise Refusal(f"start={start.name}: it generates {start.modality.name}, not pictures; choose another model")
        size, palette, colours = start.modality.size, start.modality.palette, start.modality.colours
    return gathered(source, Image(size, palette, tile, colours), batch, seed, "pictures")


def symbols_plan(
    pictures: Gathered,
    start: Generator | None,
    begun: Callable[[dict[str, Any]], Generator],
    network: str,
    asked: Mapping[str, Any],
    seconds: float | None,
    codec_share: float,
) -> Plan:
    """A Plan in two stages, an FSQ codec and a process over its tokens. Without `start`, the network has the size that
    fits the time of the second stage: `begun` builds a generator from options, `asked` are the options that the user
    set, see sizes.choose."""

    def trial(options: dict[str, Any]) -> Trial:
        model = begun(options)
        return model, pictures.few_latents(model), Settings(options["rate"])

    if start is None:
        choice = choose(GRIDS, network, asked, None if seconds is None else seconds * (1 - codec_share), trial)
        model = begun(choice.options)
    else:
        choice, model = Choice({"rate": asked["rate"] or 0.02}), start
    fits = (Settings(rate=0.002, optimiser="adamw"), Settings(rate=choice.options["rate"], average=0.998))
    plan = coded_plan(pictures, model, Quantised, fits, codec_share, trained=start is not None)
    return replace(plan, choice=choice)
