"""How well a model predicts held-out data: its validation loss, compared with the loss on training data; for text also
perplexity, and bits per byte compared with a simple baseline.

Shapes: n bytes.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..codecs.symbols import Symbols
from ..data.batches import Windows, evenly
from ..data.dataset import Dataset
from ..devices import moved
from ..generator import Generator
from ..modalities.text import Text, messages_of
from ..recipes.text_gpt import stream
from ..space import Refusal

BATCH = 16
MOST, MOST_WINDOWS = 256, 1024  # most items, and windows of text, per side
LONGEST = 512  # tokens of a window
WORK = 4 * 10**12  # most tokens times parameters per side: 30,000 tokens for a model of 135 M
CELLS = 1 << 27  # most scores in memory at a time
ORDER = 3  # bytes of context of the baseline
BASELINE_BYTES = 20_000_000  # at the end of the training text, counted by the baseline


def measure(model: Generator, dataset: Dataset) -> dict[str, Any] | None:
    """Mean losses on held-out and training data, in `unit`; None if the process has no validation loss or nothing is
    held out. On at most `MOST` items, or `MOST_WINDOWS` windows of text, per side; fewer for a large model."""
    codec = model.codec if isinstance(model.codec, Symbols) else None
    found: dict[str, Any] = {"unit": "nats per token" if model.process.space.discrete else "validation loss"}
    for name, index in (("held_out", dataset.validation), ("training", dataset.training)):
        if codec is None or model.modality.listed or not model.begins:  # items with prompts
            batches = _batches(model, dataset, index)
        else:
            batches = _windows(model, codec, dataset, index)
        loss = _mean_loss(model, batches)
        if loss is None:
            return None
        found[name] = loss
    if codec is not None and not any(messages_of(item.datum) for item in dataset):  # loss of replies only
        found |= _a_byte(codec, found["held_out"], [dataset[i].datum for i in dataset.validation])
        pair = (b"\n".join(dataset[i].datum.encode() for i in part) for part in (dataset.training, dataset.validation))
        found["baseline_bits_a_byte"] = baseline(*pair)
    return found


def _a_byte(codec: Symbols, nats: float, texts: list[str]) -> dict[str, float]:
    """Converts nats per token, by the bytes and tokens (with an end token per text) of the whole held-out text."""
    symbols, size = len(stream(codec, texts)), sum(len(text.encode()) for text in texts)
    return {"perplexity": math.exp(min(nats, 700.0)), "bits_a_byte": nats * symbols / size / math.log(2)}


def _windows(model: Generator, codec: Symbols, dataset: Dataset, index: Sequence[int]) -> Iterator[dict[str, Any]]:
    modality = model.modality if isinstance(model.modality, Text) else None
    length = min(codec.length, LONGEST)
    rows = max(1, min(BATCH, CELLS // (length * (codec.space.symbols or 1))))
    most = min(MOST_WINDOWS * length, max(length, WORK // max(1, model.size)))
    symbols = stream(codec, [dataset[i].datum for i in index], modality)[:most]
    return Windows(symbols, length, rows).each_once() if len(symbols) > 1 else iter(())


def _batches(model: Generator, dataset: Dataset, index: Sequence[int]) -> Iterator[dict[str, Any]]:
    few = [i for i in evenly(index, MOST) if fits(model, dataset[i].datum)]
    for begin in range(0, len(few), BATCH):
        items = [dataset[i] for i in few[begin : begin + BATCH]]
        prompts = model.conditioner.prepare(model.conditioner.accepted([item.prompt for item in items]))
        data = [model.modality.postprocess(item.datum) for item in items]
        yield {"latents": model.encode(data), "prompt": prompts}


def fits(model: Generator, datum: Any) -> bool:
    """Whether the codec accepts a datum; recipes skip data that are too long."""
    try:
        model.encode([datum])
    except Refusal:
        return False
    return True


@torch.no_grad()
def _mean_loss(model: Generator, batches: Iterator[dict[str, Any]]) -> float | None:
    total, weight = 0.0, 0.0
    with torch.random.fork_rng(devices=[]):
        for number, batch in enumerate(batches):
            torch.manual_seed(number)
            figures = model.eval().validation(moved(batch, model.device))
            if figures is None:
                return None
            total += float(figures["loss"]) * float(figures["weight"])
            weight += float(figures["weight"])
    return total / weight if weight else None


def baseline(training: bytes, held_out: bytes) -> float:
    """Bits per byte of `held_out` under an interpolated n-gram model of the bytes in `training`, with up to `ORDER`
    bytes of context (Witten and Bell 1991, method C)."""
    seen, asked = (np.frombuffer(x, np.uint8).astype(np.int64) for x in (training[-BASELINE_BYTES:], held_out))
    chance_n = np.full(len(asked), 1 / 256)
    for order in range(ORDER + 1):
        keys, wanted = _runs(seen, order + 1), _runs(asked, order + 1)
        pairs, counts = np.unique(keys[order:], return_counts=True)
        contexts, first, kinds = np.unique(pairs >> 8, return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, first) if len(first) else counts
        hits = _looked_up(pairs, counts, wanted)
        total, kind = _looked_up(contexts, totals, wanted >> 8), _looked_up(contexts, kinds, wanted >> 8)
        mixed = (hits + kind * chance_n) / np.maximum(total + kind, 1)
        complete = (np.arange(len(asked)) >= order) & (total > 0)
        chance_n = np.where(complete, mixed, chance_n)
    return float(-np.log2(chance_n).mean())


def _runs(bytes_n: np.ndarray, length: int) -> np.ndarray:
    """Each byte and those before it, `length` in all, as one number."""
    key = bytes_n.copy()
    for back in range(1, length):
        key[back:] += bytes_n[:-back] << (8 * back)
    return key


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
