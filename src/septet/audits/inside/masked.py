"""Sections about a BERT: predictions of masked tokens, and nearest neighbours in the embedding table."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ...codecs.symbols import Symbols
from ...processes.masked import Masked
from ..audited import Audited
from ..losses import hear
from ..page import Section
from .gpt import BEFORE, BEST, likeliest, symbol_name
from .held_out import items

GAPS = 10
WORDS = 10  # tokens whose neighbours are shown


def view(audited: Audited) -> Iterator[Section]:
    process, codec = audited.model.process, audited.model.codec
    assert isinstance(process, Masked)
    first = next(items(audited, 1), None)
    if first is None:
        return
    _, prompt, latents = first
    count = int((latents[0] >= 0).sum())
    places = torch.linspace(1, max(1, count - 2), GAPS).long().unique().tolist()
    shown = torch.ones(len(places), _width(process, latents), dtype=torch.bool)
    shown[range(len(places)), places] = False
    context = hear(audited.model, [prompt]).rows([0] * len(places))
    with torch.no_grad():
        scores = process.predict(latents.expand(len(places), -1), shown.to(latents.device), context)
    chances = scores[range(len(places)), places].float().softmax(-1).cpu()
    latents_N = latents[0].cpu()
    right = float((chances.argmax(1) == latents_N[places]).float().mean())
    sentences = [
        f"One token of {audited.shown} is masked at a time: the most likely token is right in {right:.0%} of "
        f"{len(places)} cases."
    ]
    text = codec if isinstance(codec, Symbols) else None
    table = [] if text is None else list(_candidates(text, latents_N, places, chances))
    yield Section("gaps", "Predictions of masked tokens", sentences, table=table, figures={"right": right})
    if text is not None:
        alike = list(_neighbours(process, text, latents_N))
        sentences = [
            "Tokens that occur in similar contexts have similar embeddings. Some tokens, and the nearest to each:"
        ]
        yield Section("neighbours", "Nearest token embeddings", sentences, table=alike)


def _width(process: Masked, latents: Tensor) -> int:
    return latents.shape[1] if process.end is None else process.space.sites


def _candidates(codec: Symbols, latents_N: Tensor, places: list[int], chances_GV: Tensor) -> Iterator[str]:
    for place, chance in zip(places, chances_GV, strict=True):
        before, after = codec.text_of(latents_N[:place])[-BEFORE:], codec.text_of(latents_N[place + 1 :])[:12]
        gap = f"{before}_{after}".replace("\n", "\u21b5")
        yield f"{gap:>{BEFORE + 13}} | {likeliest(codec, chance, int(latents_N[place]))}"


def _neighbours(process: Masked, codec: Symbols, latents_N: Tensor) -> Iterator[str]:
    vectors = F.normalize(process.table.weight[: codec.space.symbols].detach().float(), dim=1)
    for symbol in dict.fromkeys(latents_N[latents_N >= 0].tolist()[: 4 * WORDS : 4]):
        likeness = vectors @ vectors[symbol]
        likeness[symbol] = -1
        near = "  ".join(symbol_name(codec, int(s)) for s in likeness.topk(BEST).indices)
        yield f"{symbol_name(codec, symbol):>14} | {near}"
