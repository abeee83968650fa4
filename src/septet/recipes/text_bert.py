"""Text by a BERT: fills gaps from the context on both sides."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.symbols import Symbols
from ..conditioners.nothing import Nothing
from ..data.batches import Windows
from ..data.dataset import read
from ..fitting import Settings
from ..fitting.sizes import Choice, Trial, choose
from ..generator import Generator
from ..modalities.text import Text
from ..processes.masked import Masked
from ..space import Refusal
from . import Plan, Stage, recipe
from ._families import MASKED
from .text_gpt import stream


@recipe(Text)
def text_bert(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    network: str = "auto",
    tokens: str = "2048",
    length: int = 128,
    width: int = 0,
    layers: int = 0,
    batch: int = 32,
    rate: float = 0.0,
) -> Plan:
    """A bidirectional transformer over `tokens` ("characters", "bytes" or a BPE size), trained on windows of `length`
    tokens. `network`: "xs", "s", "m", "l", "xl", or "auto" for the largest that fits the budget ("l" with --steps);
    `width`, `layers` and `rate` above 0 override it."""
    dataset = read(source, Text(), seed=seed)
    codec = start.codec if start else Symbols.learned([dataset[i].datum for i in dataset.own], tokens, length)
    if not isinstance(codec, Symbols) or (start and not isinstance(start.process, Masked)):
        raise Refusal(f"start={start.name if start else None}: text_bert can only fine-tune a text BERT; choose one")
    held, learned = (stream(codec, [dataset[i].datum for i in p]) for p in (dataset.validation, dataset.training))
    held_out = Windows(held, codec.length, batch) if len(held) > 1 else None
    windows = Windows(learned, codec.length, batch, seed, held_out)

    def begun(options: dict[str, Any]) -> Generator:
        torch.manual_seed(seed)
        backbone = Transformer(options["width"], options["layers"], heads=max(2, options["width"] // 64))
        process, settings = Masked(codec.space, backbone, fill=0.2), {"steps": min(16, codec.space.sites)}
        return Generator(Text(), codec, process, Nothing(), settings=settings)

    def trial(options: dict[str, Any]) -> Trial:
        return begun(options), windows, Settings(options["rate"])

    if start is None:
        chosen = choose(MASKED, network, {"width": width, "layers": layers, "rate": rate}, seconds, trial)
        start = begun(chosen.options)
    else:
        chosen = Choice({"rate": rate or 0.02})
    stage = Stage("bert", start, lambda: windows, Settings(rate=chosen.options["rate"], average=0.998))
    facts = {"symbols": len(learned), "held_out_symbols": len(held)}
    return Plan(start, [stage], dataset, facts, [None], chosen)
