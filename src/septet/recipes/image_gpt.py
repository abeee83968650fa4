"""Pictures by GPT: an FSQ codec's symbols, one after another, what is known first."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.quantised import Quantised
from ..fitting import Settings
from ..generator import Generator
from ..modalities.image import Image
from ..processes.permuted import Permuted
from . import Plan, recipe
from ._grids import coded_plan, conditioner_for
from ._pictures import gather


@recipe(Image)
def image_gpt(
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
    width: int = 256,
    layers: int = 6,
    dropout: float = 0.1,
    fill: float = 0.2,
    batch: int = 64,
    rate: float = 0.02,
    codec_share: float = 0.25,
) -> Plan:
    """Two stages: a codec to 1,000 symbols on a grid `down` times coarser, then a causal transformer over them; in a
    share `fill` of the rows a known region comes first, for in-painting."""
    pictures = gather(source, size, palette, tile, batch, seed, start)
    trained = start is not None
    if start is None:
        torch.manual_seed(seed)
        codec = Quantised((size, size), channels, width=codec_width, down=down, alpha=channels == 4)
        backbone = Transformer(width, layers, heads=max(2, width // 64), dropout=dropout, rotary_base=100.0)
        process = Permuted(codec.space, backbone, fill)
        conditioner = conditioner_for(prompts, width, pictures.prompts)
        settings = {"guidance": 1.5, "temperature": 0.95}
        start = Generator(pictures.dataset.modality, codec, process, conditioner, settings=settings)
    fits = (Settings(rate=0.002, optimiser="adamw"), Settings(rate=rate, average=0.998))
    return coded_plan(pictures, start, Quantised, fits, codec_share, trained)
