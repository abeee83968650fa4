"""Odd sounds by GPT."""

import torch
from septet.modalities.odd_sound import OddLevels, OddSound  # pyright: ignore[reportMissingImports]

from septet.backbones.transformer import Transformer
from septet.conditioners.nothing import Nothing
from septet.conditioners.text import Text
from septet.data.batches import Batches
from septet.data.dataset import read
from septet.fitting import Settings
from septet.generator import Generator
from septet.processes.autoregressive import Autoregressive
from septet.recipes import Plan, Stage, recipe


@recipe(OddSound, default=True)
def odd_sound_gpt(source, seed=0, start=None, seconds=None, width: int = 32, layers: int = 1, batch: int = 4):
    """A GPT over loudness."""
    data = read(source, OddSound(), seed=seed)
    torch.manual_seed(seed)
    codec = OddLevels()
    process = Autoregressive(codec.space, Transformer(width, layers, heads=2))
    conditioner = Text.learned(width, data.prompts) if any(data.prompts) else Nothing()
    model = start or Generator(OddSound(), codec, process, conditioner)
    latents = model.codec.encode([item.datum for item in data])
    prompts = model.conditioner.prepare(model.conditioner.accepted(data.prompts))
    held_out = Batches(latents, prompts, batch, index=data.validation)
    batches = Batches(latents, prompts, batch, seed, held_out=held_out, index=data.training)
    return Plan(model, [Stage("gpt", model, lambda: batches, Settings())], data, previews=data.prompts[:2])
