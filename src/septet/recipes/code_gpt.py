"""Code completion by GPT: what stands at a cursor, knowing what stands before and after it."""

import math
from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.symbols import Symbols
from ..conditioners.nothing import Nothing
from ..data.dataset import read
from ..data.passages import Passages
from ..fitting import Settings
from ..generator import Generator
from ..modalities.code import Code
from ..processes.autoregressive import Autoregressive
from ..space import Refusal
from . import Plan, Stage, recipe

SETTINGS = {"temperature": 0.2, "min_p": 0.05}  # of a draw


@recipe(Code, default=True, few=math.inf)
def code_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    tokens: str = "4096",
    length: int = 512,
    width: int = 256,
    layers: int = 6,
    dropout: float = 0.0,
    fill: float = 0.5,
    batch: int = 16,
    rate: float = 0.0,
) -> Plan:
    """A GPT over byte-level BPE symbols of source code, on passages of `length`, of which the share `fill` has a gap to
    be filled. What .gitignore names is left out, and so are lines that hold secrets. `rate=0`: 0.02 from nothing, less
    from another model."""
    fills = start is not None and isinstance(start.process, Autoregressive) and start.process.filled
    if start is not None and not fills:
        raise Refusal(f"start={start.name}: code_gpt goes on only from a model of code; choose another")
    dataset = read(source, Code() if start is None else start.modality, seed=seed)
    texts = [[dataset[i].datum for i in part] for part in (dataset.own, dataset.training, dataset.validation)]
    if start is None:
        start = begun(texts[0], Code().like(dataset.sources), tokens, length, (width, layers, dropout), seed)
        rate = rate or 0.02
    codec = start.codec
    assert isinstance(codec, Symbols)
    length = min(length, codec.length)
    held_out = Passages(texts[2], codec, batch, seed, length=length, fill=fill) if texts[2] else None
    passages = Passages(texts[1], codec, batch, seed, held_out, length, fill)
    settings = Settings(rate=rate or 0.01, average=0.99, compile=seconds is not None and seconds >= 600)
    facts = {"characters": sum(map(len, texts[1])), "held_out_characters": sum(map(len, texts[2]))}
    return Plan(start, [Stage("gpt", start, lambda: passages, settings)], dataset, facts, previews=[None] * 2)


def begun(
    texts: list[str], modality: Code, tokens: str, length: int, shape: tuple[int, int, float], seed: int
) -> Generator:
    """A model that knows nothing yet but a vocabulary; `shape` is width, layers and dropout."""
    width, layers, dropout = shape
    codec = Symbols.learned(texts, tokens, length)
    torch.manual_seed(seed)
    backbone = Transformer(width, layers, heads=max(1, width // 64), dropout=dropout)
    process = Autoregressive(codec.space, backbone, softcap=None, tied=True, filled=True)
    return Generator(modality, codec, process, Nothing(), settings=dict(SETTINGS))
