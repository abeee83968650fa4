"""Pictures by a BERT: an FSQ codec's symbols, masked and guessed, the surest first."""

from dataclasses import replace
from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.quantised import Quantised
from ..fitting import Settings
from ..fitting.sizes import Choice, Trial, choose
from ..generator import Generator
from ..modalities.image import Image
from ..processes.masked import Masked
from . import Plan, recipe
from ._families import GRIDS
from ._grids import coded_plan, conditioner_for
from ._pictures import gather


@recipe(Image)
def image_bert(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    size: int = 32,
    down: int = 4,
    channels: int = 4,
    palette: int | None = None,
    tile: int | None = None,
    prompts: str = "text",
    codec_width: int = 32,
    network: str = "auto",
    width: int = 0,
    layers: int = 0,
    dropout: float = 0.1,
    batch: int = 64,
    rate: float = 0.0,
    codec_share: float = 0.25,
    fill: float = 0.2,
) -> Plan:
    """Two stages: a codec to 1,000 symbols on a grid `down` times coarser, then a full transformer over them, which
    fills any region that is left open. `network`: "xs", "s", "m", "l", "xl", or
    "auto" for the largest that the budget has time for ("l" with --steps); `width`, `layers` and `rate` above 0
    replace its own."""
    pictures = gather(source, size, palette, tile, batch, seed, start)
    trained = start is not None

    def begun(options: dict[str, Any]) -> Generator:
        torch.manual_seed(seed)
        width, shape = options["width"], (size, size)
        codec = Quantised(shape, channels, width=codec_width, down=down, alpha=channels == 4)
        heads, deep = max(2, width // 64), options["layers"]
        backbone = Transformer(width, deep, heads=heads, dropout=dropout, rotary_base=100.0)
        process = Masked(codec.space, backbone, fill=fill)
        conditioner = conditioner_for(prompts, width, pictures.prompts)
        settings = {"guidance": 1.5, "steps": min(12, codec.space.sites)}
        return Generator(pictures.dataset.modality, codec, process, conditioner, settings=settings)

    def trial(options: dict[str, Any]) -> Trial:
        model = begun(options)
        return model, pictures.few_latents(model), Settings(options["rate"])

    if start is None:
        share = None if seconds is None else seconds * (1 - codec_share)
        chosen = choose(GRIDS, network, {"width": width, "layers": layers, "rate": rate}, share, trial)
        start = begun(chosen.options)
    else:
        chosen = Choice({"rate": rate or 0.02})
    fits = (Settings(rate=0.002, optimiser="adamw"), Settings(rate=chosen.options["rate"], average=0.998))
    plan = coded_plan(pictures, start, Quantised, fits, codec_share, trained)
    return replace(plan, chosen=chosen.options, why=chosen.why) if chosen.why else plan
