"""Odd tunes by GPT."""

import torch
from septet.modalities.odd_tune import OddTune  # pyright: ignore[reportMissingImports]

from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners.text import Text
from septet.data.batches import Batches
from septet.data.dataset import read
from septet.fitting import Settings
from septet.generator import Generator
from septet.processes.autoregressive import Autoregressive
from septet.recipes import Plan, Stage, recipe


@recipe(OddTune)
def odd_tune_gpt(source, seed=0, start=None, seconds=None, width: int = 32, layers: int = 1, batch: int = 4):
    """A GPT over notes."""
    data = read(source, OddTune(), seed=seed)
    torch.manual_seed(seed)
    codec = Symbols.learned([item.datum for item in data], "characters", 48)
    process = Autoregressive(codec.space, Transformer(width, layers, heads=2))
    model = start or Generator(OddTune(), codec, process, Text.learned(width, data.prompts))
    latents = model.codec.encode([item.datum for item in data])
    prompts = model.conditioner.prepare(data.prompts)
    held_out = Batches(latents, prompts, batch, index=data.validation)
    batches = Batches(latents, prompts, batch, seed, held_out=held_out, index=data.training)
    return Plan(model, [Stage("gpt", model, lambda: batches, Settings())], data)
