"""Pictures by diffusion: a transformer over patches, flow matching with a network that tells the data."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.patches import Patches
from ..fitting import Settings
from ..generator import Generator
from ..modalities.image import Image
from ..processes.flow import Flow
from ..space import Refusal
from . import Enough, Plan, Stage, recipe
from ._grids import conditioner_for
from ._pictures import gather


@recipe(Image, default=True, few=2000, enough=Enough("pictures", train=400))
def image_diffusion(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    size: int = 32,
    patch: int = 4,
    channels: int = 4,
    palette: int | None = None,
    tile: int | None = None,
    prompts: str = "text",
    width: int = 256,
    layers: int = 8,
    batch: int = 64,
    rate: float = 0.02,
    average: float = 0.999,
    fill: float = 0.2,
) -> Plan:
    """A modulated transformer over patches of `patch` pixels. `prompts`: "text", "labels" or "nothing"."""
    pictures = gather(source, size, palette, tile, batch, seed, start)
    if start is None:
        codec = Patches(size, patch, channels, alpha=channels == 4)
        torch.manual_seed(seed)
        backbone = Transformer(width, layers, heads=max(2, width // 64), modulated=True, rotary_base=100.0)
        process = Flow(codec.space, backbone, level_mean=0.4, fill=fill, deviation=0.6)
        conditioner = conditioner_for(prompts, width, pictures.prompts)
        settings = {"guidance": 2.0, "steps": 20, "solver": "heun"}
        start = Generator(pictures.dataset.modality, codec, process, conditioner, settings=settings)
    model = start
    if not isinstance(model.codec, Patches) or not isinstance(model.process, Flow):
        raise Refusal(f"start={model.name}: image_diffusion goes on only from a diffusion model of patches")
    fit = Settings(rate=rate, average=average, compile=seconds is not None and seconds >= 600)
    stage = Stage("diffusion", model, lambda: pictures.batches(model.conditioner), fit)
    facts = {"pictures": len(pictures.dataset.training)}
    return Plan(model, [stage], pictures.dataset, facts, pictures.previews(model.conditioner))
