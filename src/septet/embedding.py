"""Texts as points: the nearer two are, the more they are alike to a language model.

Shapes: n texts, B batch, N symbols, D width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .codecs.symbols import Symbols
from .generator import Generator
from .parts import Context
from .processes.autoregressive import Autoregressive
from .processes.masked import Masked
from .space import PADDING, Refusal

ROWS = 16  # pieces of text that are read at a time


def reading(model: Generator) -> tuple[Masked | Autoregressive, Symbols]:
    """The parts that embed; D is the width of the process's backbone."""
    if not isinstance(model.process, Masked | Autoregressive) or not isinstance(model.codec, Symbols):
        raise Refusal(f"{model.name} does not read text; embed with a text model")
    return model.process, model.codec


@torch.no_grad()
def embed(model: Generator, texts: Sequence[str]) -> Tensor:
    """fp32 (n, D) of length 1: the mean of what the last layer makes of each symbol. A text longer than the model
    reads at once is read in pieces. Best with a `text_bert`, whose symbols see both sides."""
    process, codec = reading(model)
    pieces, whose = [], []
    for number, text in enumerate(texts):
        symbols = codec.symbols_of(text)
        symbols = symbols if len(symbols) else torch.tensor([codec.space.markers["end"]])
        for piece in symbols.split(codec.length - 1):
            pieces.append(piece)
            whose.append(number)
    sums, counts = torch.zeros(len(texts), process.backbone.width), torch.zeros(len(texts))
    for begin in range(0, len(pieces), ROWS):
        rows = torch.nn.utils.rnn.pad_sequence(pieces[begin : begin + ROWS], True, PADDING).to(model.device)
        states, there = process.states(rows, Context()).float().cpu(), (rows != PADDING).cpu()
        owners = torch.tensor(whose[begin : begin + ROWS])
        sums.index_add_(0, owners, (states * there[..., None]).sum(1))
        counts.index_add_(0, owners, there.sum(1).float())
    return torch.nn.functional.normalize(sums / counts[:, None], dim=-1)


def nearest(model: Generator, query: str, passages: Sequence[str], count: int = 5) -> list[tuple[int, float]]:
    """Numbers of the passages most like `query`, and their cosines, the likest first."""
    found = embed(model, [query, *passages])
    cosines = found[1:] @ found[0]
    best = cosines.topk(min(count, len(passages)))
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
