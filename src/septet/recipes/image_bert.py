"""Pictures by a BERT over the tokens of an FSQ codec: masked tokens are predicted, the most confident first."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.quantised import Quantised
from ..generator import Generator
from ..modalities.image import Image
from ..processes.masked import Masked
from . import Plan, recipe
from ._grids import conditioner_for
from ._pictures import gather, symbols_plan


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
    """Two stages: a codec with 1,000 tokens on a grid `down` times coarser, then a bidirectional transformer over them,
    which can fill any region. `network`: "xs", "s", "m", "l", "xl", or "auto" for the largest that fits the budget ("l"
    with --steps); `width`, `layers` and `rate` above 0 override it."""
    pictures = gather(source, size, palette, tile, batch, seed, start)

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

    asked = {"width": width, "layers": layers, "rate": rate}
    return symbols_plan(pictures, start, begun, network, asked, seconds, codec_share)
