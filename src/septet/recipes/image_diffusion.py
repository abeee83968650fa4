"""Pictures by diffusion: a transformer over patches, flow matching with a network that tells the data."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.patches import Patches
from ..conditioners import Attributes, Nothing, Text
from ..data.batches import Batches
from ..data.dataset import read
from ..generator import Generator
from ..modalities.image import Image
from ..parts import Conditioner, Prompt
from ..processes.flow import Flow
from ..space import Refusal
from ..fitting import Settings
from . import Plan, Stage


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
    modality = Image(size=size, palette=palette, tile=tile)
    dataset = read(source, modality, seed=seed)
    said = [dataset[i].prompt for i in range(len(dataset))]
    if start is None:
        codec = Patches(size, patch, channels)
        torch.manual_seed(seed)
        backbone = Transformer(width, layers, heads=max(2, width // 64), modulated=True, rotary_base=100.0)
        process = Flow(codec.space, backbone, level_mean=0.4, fill=fill, deviation=0.6)
        defaults = {"guidance": 2.0, "steps": 20, "solver": "heun"}
        start = Generator(dataset.modality, codec, process, conditioner_for(prompts, width, said), settings=defaults)
    if not isinstance(start.codec, Patches):
        raise Refusal(f"start={start.name}: image_diffusion goes on only from a diffusion model of pictures")

    def batches() -> Batches:
        prepared = start.conditioner.prepare(said)
        held_out = Batches(dataset.data, prepared, batch, index=dataset.validation) if dataset.validation else None
        return Batches(dataset.data, prepared, batch, seed, held_out=held_out, index=dataset.training)

    stage = Stage("diffusion", start, batches, Settings(rate=rate, average=average))
    previews = [said[i] for i in (dataset.validation or dataset.training)[:8]]
    return Plan(start, [stage], dataset, {"pictures": len(dataset.training)}, previews)


def conditioner_for(prompts: str, width: int, said: list[Prompt]) -> Conditioner:
    """Free text, labels (dicts and few distinct strings), or nothing, as asked for."""
    if prompts == "nothing" or not any(said):
        return Nothing()
    if prompts == "labels" or any(isinstance(p, dict) for p in said):
        return Attributes.learned(width, said)
    if prompts == "text":
        return Text.learned(width, said)
    raise Refusal(f"prompts={prompts!r}: expected 'text', 'labels' or 'nothing'")
