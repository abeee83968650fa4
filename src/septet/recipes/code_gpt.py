"""Code completion by GPT: predicts the code at a cursor from the code before and after it."""

import math
from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.symbols import Symbols
from ..conditioners.nothing import Nothing
from ..data.dataset import read
from ..data.passages import Passages
from ..fitting import Settings
from ..fitting.sizes import Choice, Trial, choose
from ..generator import Generator
from ..modalities.code import Code
from ..processes.autoregressive import Autoregressive
from ..space import Refusal
from . import Plan, Stage, recipe
from ._families import CODE

SETTINGS = {"temperature": 0.2, "min_p": 0.05}  # of sampling


@recipe(Code, default=True, few=math.inf)
def code_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    tokens: str = "4096",
    length: int = 512,
    network: str = "auto",
    width: int = 0,
    layers: int = 0,
    dropout: float = 0.0,
    fill: float = 0.5,
    batch: int = 16,
    rate: float = 0.0,
) -> Plan:
    """A GPT over byte-level BPE tokens of source code, trained on passages of `length` tokens; a share `fill` of them
    has a gap to fill. Files that .gitignore names and lines that contain secrets are skipped. `network`: "xs", "s",
    "m", "l", "xl", or "auto" for the largest that fits the budget ("l" with --steps); `width`, `layers` and `rate`
    above 0 override it."""
    fills = start is not None and isinstance(start.process, Autoregressive) and start.process.filled
    if start is not None and not fills:
        raise Refusal(f"start={start.name}: code_gpt can only fine-tune a model of code; choose one")
    dataset = read(source, Code() if start is None else start.modality, seed=seed)
    texts = [[dataset[i].datum for i in part] for part in (dataset.own, dataset.training, dataset.validation)]
    codec = Symbols.learned(texts[0], tokens, length) if start is None else start.codec
    assert isinstance(codec, Symbols)
    length, modality = min(length, codec.length), Code().like(dataset.sources)
    held_out = Passages(texts[2], codec, batch, seed, length=length, fill=fill) if texts[2] else None
    passages = Passages(texts[1], codec, batch, seed, held_out, length, fill)

    def sized(options: dict[str, Any]) -> Generator:
        return of_shape(codec, modality, (options["width"], options["layers"], dropout), seed)

    def trial(options: dict[str, Any]) -> Trial:
        return sized(options), passages, Settings(options["rate"])

    if start is None:
        chosen = choose(CODE, network, {"width": width, "layers": layers, "rate": rate}, seconds, trial)
        start = sized(chosen.options)
    else:
        chosen = Choice({"rate": rate or 0.01})
    settings = Settings(rate=chosen.options["rate"], average=0.99, compile=seconds is not None and seconds >= 600)
    facts = {"characters": sum(map(len, texts[1])), "held_out_characters": sum(map(len, texts[2]))}
    stage = Stage("gpt", start, lambda: passages, settings)
    return Plan(start, [stage], dataset, facts, [None] * 2, chosen)


def begun(
    texts: list[str], modality: Code, tokens: str, length: int, shape: tuple[int, int, float], seed: int
) -> Generator:
    """An untrained model with a tokenizer trained on `texts`; `shape` is (width, layers, dropout)."""
    return of_shape(Symbols.learned(texts, tokens, length), modality, shape, seed)


def of_shape(codec: Symbols, modality: Code, shape: tuple[int, int, float], seed: int) -> Generator:
    """An untrained model with this codec; `shape` is (width, layers, dropout)."""
    width, layers, dropout = shape
    torch.manual_seed(seed)
    backbone = Transformer(width, layers, heads=max(1, width // 64), dropout=dropout)
    process = Autoregressive(codec.space, backbone, softcap=None, tied=True, filled=True)
    return Generator(modality, codec, process, Nothing(), settings=dict(SETTINGS))
