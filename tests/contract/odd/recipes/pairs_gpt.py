"""Pairs by GPT."""

import torch
from septet.modalities.pairs import Pairs, Spelled  # pyright: ignore[reportMissingImports]

from septet.backbones.transformer import Transformer
from septet.conditioners.nothing import Nothing
from septet.data.batches import Batches
from septet.data.dataset import read
from septet.fitting import Settings
from septet.generator import Generator
from septet.processes.autoregressive import Autoregressive
from septet.recipes import Plan, Stage, recipe


@recipe(Pairs, default=True)
def pairs_gpt(source, seed=0, start=None, seconds=None, width: int = 32, batch: int = 8) -> Plan:
    """A GPT over a word and a picture."""
    data = read(source, Pairs(), seed=seed)
    torch.manual_seed(seed)
    codec = Spelled()
    process = Autoregressive(codec.space, Transformer(width, 1, heads=2), fill=0.5)
    model = start or Generator(data.modality, codec, process, Nothing())
    rows = [codec.encode([item.datum])[0] for item in data]
    prompts = model.conditioner.nothing(len(rows))
    held_out = Batches(rows, prompts, batch, index=data.validation)
    batches = Batches(rows, prompts, batch, seed, held_out=held_out, index=data.training)
    return Plan(model, [Stage("gpt", model, lambda: batches, Settings())], data, previews=[None] * 2)
