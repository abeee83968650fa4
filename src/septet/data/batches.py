"""Training batches that are a function of the step only, so that resuming needs nothing but the step's number.

Shapes: n items, B batch, N symbols of a sequence.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contracts import Prepared
from ..devices import mapped
from ..space import PADDING, Refusal

WINDOW = 64  # batches among which sequences are sorted by length
MULTIPLE = 16  # sequences are padded to a multiple of this, so that few shapes occur


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of the items, evenly spaced, in order."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(most, len(items)), dtype=int))]


View = Callable[[Tensor, torch.Generator], Tensor]


def random_stream(*key: int) -> np.random.Generator:
    """A random generator that depends on the key only."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([part % 2**64 for part in key])))


def padded(rows: Sequence[Tensor]) -> Tensor:
    """int64 (B, N): sequences padded with PADDING to the longest length, rounded up to a multiple of MULTIPLE."""
    longest = -(-max(len(row) for row in rows) // MULTIPLE) * MULTIPLE
    whole = torch.full((len(rows), longest), PADDING)
    for line, row in zip(whole, rows, strict=True):
        line[: len(row)] = row
    return whole


def _is_sequence(row: Any) -> bool:
    return isinstance(row, Tensor) and row.dim() == 1 and row.dtype == torch.int64


class Batches:
    """Batches {"latents" or "data": (B, ...), "prompt": prepared prompts}; uint8 items are "data" unless `name` is set.

    `items` is a tensor or array (n, ...), or a list of int64 sequences, which are batched with others of similar length
    and padded. Each epoch has a new order; an incomplete last batch is dropped. `views` augments a datum with a random
    generator. `index` selects items, by default all; `held_out` provides the batches of `validation`.
    """

    def __init__(
        self,
        items: Tensor | np.ndarray | list[Tensor],
        prompts: Prepared,
        batch: int,
        seed: int = 0,
        views: View | None = None,
        held_out: "Batches | None" = None,
        name: str | None = None,
        index: Sequence[int] | None = None,
    ):
        if batch < 1:
            raise Refusal(f"batch={batch}: expected at least 1")
        for tensor in prompts.values() if isinstance(prompts, dict) else [prompts]:
            if len(items) != len(tensor):
                raise Refusal(f"{len(items):,} items and {len(tensor):,} prompts: give one prompt per item")
        if not isinstance(items, Tensor | np.ndarray) and not all(map(_is_sequence, items)):
            raise Refusal(
                "items differ in shape: expected one tensor or array of all items, or a list of int64 (n,) tensors; "
                "encode or resize them first"
            )
        self.items, self.prompts, self.batch, self.seed = items, prompts, batch, seed
        self.views, self.held_out = views, held_out
        self.ragged = not isinstance(items, Tensor | np.ndarray)
        raw = not isinstance(items, list) and items.dtype in (torch.uint8, np.uint8)
        self.name = name or ("data" if raw else "latents")
        self.index = np.arange(len(items)) if index is None else np.asarray(index, np.int64)
        self.lengths = np.array([len(items[i]) for i in self.index]) if self.ragged else None
        self.order = functools.lru_cache(2)(self._order)

    @property
    def per_epoch(self) -> int:
        """The number of batches per epoch."""
        return max(1, len(self.index) // self.batch)

    def _order(self, epoch: int) -> np.ndarray:
        """(batches, B) indices of one epoch."""
        stream = random_stream(self.seed, epoch)
        order = np.resize(stream.permutation(len(self.index)), self.per_epoch * self.batch)
        if self.lengths is None:
            return order.reshape(-1, self.batch)
        span = WINDOW * self.batch
        windows = [order[begin : begin + span] for begin in range(0, len(order), span)]
        order = np.concatenate([window[np.argsort(self.lengths[window], kind="stable")] for window in windows])
        return stream.permutation(order.reshape(-1, self.batch))

    def at(self, step: int) -> dict[str, Any]:
        """The batch of a step, counted from 0."""
        if not len(self.index):
            raise Refusal("no items to train on: give at least one")
        epoch, place = divmod(step, self.per_epoch)
        return self._gathered(self.order(epoch)[place], step)

    def _gathered(self, index: np.ndarray, step: int | None) -> dict[str, Any]:
        rows: Any
        index = self.index[index]
        if isinstance(self.items, list):
            rows = [self.items[i] for i in index]
        elif isinstance(self.items, Tensor):
            rows = self.items[torch.from_numpy(index)]
        else:
            rows = torch.from_numpy(self.items[index])
        if self.views is not None and step is not None:
            generator = torch.Generator().manual_seed(int(random_stream(self.seed, step, 1).integers(2**63)))
            rows = [self.views(row, generator) for row in rows]
            rows = rows if self.ragged else torch.stack(rows)
        prompts = mapped(lambda tensor: tensor[torch.from_numpy(index)], self.prompts)
        return {self.name: padded(rows) if self.ragged else rows, "prompt": prompts}

    def each_once(self) -> Iterator[dict[str, Any]]:
        """Every item once, without augmentation, in a fixed random order, so that the first batches are a fair sample
        of sorted items. Sequences are batched by length; a batch may be short."""
        stream = random_stream(0)
        order = stream.permutation(len(self.index))
        if self.lengths is not None:
            order = order[np.argsort(self.lengths[order], kind="stable")]
        batches = [order[begin : begin + self.batch] for begin in range(0, len(order), self.batch)]
        for place in stream.permutation(len(batches)):
            yield self._gathered(batches[place], None)

    def validation(self) -> Iterator[dict[str, Any]]:
        """The held-out items, each once; empty without `held_out`."""
        return self.held_out.each_once() if self.held_out else iter(())


class Windows:
    """Random windows of `length` tokens of one long sequence, without prompts: {"latents": (B, N), "prompt": (B, 0)}.

    `tokens` is a 1-D tensor, array or memmap of integers; `held_out` provides the batches of `validation`.
    """

    def __init__(
        self,
        tokens: Tensor | np.ndarray,
        length: int,
        batch: int,
        seed: int = 0,
        held_out: "Windows | None" = None,
    ):
        if batch < 1 or length < 2:
            raise Refusal(f"batch={batch}, length={length}: expected at least 1 and 2")
        self.tokens = tokens.numpy() if isinstance(tokens, Tensor) else tokens
        if len(self.tokens) < 2:
            raise Refusal(f"a text of {len(self.tokens)} tokens is too short to train on: give at least 2")
        self.length, self.batch, self.seed, self.held_out = min(length, len(self.tokens)), batch, seed, held_out

    def at(self, step: int) -> dict[str, Tensor]:
        """The windows of a step; start positions are uniform."""
        starts = random_stream(self.seed, step).integers(0, len(self.tokens) - self.length + 1, self.batch)
        return _latents(self.tokens[starts[:, None] + np.arange(self.length)])

    def each_once(self) -> Iterator[dict[str, Tensor]]:
        """Windows that cover everything without overlap, in a fixed random order; the text's last one is padded."""
        starts = random_stream(0).permutation(range(0, len(self.tokens), self.length))
        for begin in range(0, len(starts), self.batch):
            rows = [self.tokens[start : start + self.length] for start in starts[begin : begin + self.batch]]
            whole = np.full((len(rows), self.length), PADDING, np.int64)
            for line, row in zip(whole, rows, strict=True):
                line[: len(row)] = row
            yield _latents(whole)

    def validation(self) -> Iterator[dict[str, Tensor]]:
        """All windows of the held-out text, each once; empty without `held_out`."""
        return self.held_out.each_once() if self.held_out else iter(())


def _latents(windows: np.ndarray) -> dict[str, Tensor]:
    latents = torch.from_numpy(windows.astype(np.int64, copy=False))
    return {"latents": latents, "prompt": torch.zeros(len(latents), 0, dtype=torch.int64)}
