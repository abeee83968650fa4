"""Text by a BERT: gaps are filled from both sides."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.symbols import Symbols
from ..conditioners.nothing import Nothing
from ..data.batches import Windows
from ..data.dataset import read
from ..fitting import Settings
from ..generator import Generator
from ..modalities.text import Text
from ..processes.masked import Masked
from ..space import Refusal
from . import Plan, Stage, recipe
from .text_gpt import stream


@recipe(Text)
def text_bert(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    tokens: str = "2048",
    length: int = 128,
    width: int = 256,
    layers: int = 6,
    batch: int = 32,
    rate: float = 0.02,
) -> Plan:
    """A full transformer over `tokens` ("characters", "bytes" or a BPE size), on windows of `length`."""
    dataset = read(source, Text(), seed=seed)
    if start is None:
        torch.manual_seed(seed)
        codec = Symbols.learned([dataset[i].datum for i in dataset.own], tokens, length)
        process = Masked(codec.space, Transformer(width, layers, heads=max(2, width // 64)), fill=0.2)
        start = Generator(Text(), codec, process, Nothing(), settings={"steps": min(16, codec.space.sites)})
    codec = start.codec
    if not isinstance(codec, Symbols) or not isinstance(start.process, Masked):
        raise Refusal(f"start={start.name}: text_bert goes on only from a text BERT")
    held, learned = (stream(codec, [dataset[i].datum for i in p]) for p in (dataset.validation, dataset.training))
    held_out = Windows(held, codec.length, batch) if len(held) > 1 else None
    windows = Windows(learned, codec.length, batch, seed, held_out)
    fit = Settings(rate=rate, average=0.998)
    facts = {"symbols": len(learned), "held_out_symbols": len(held)}
    return Plan(start, [Stage("bert", start, lambda: windows, fit)], dataset, facts, [None])
