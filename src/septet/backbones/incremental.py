"""A causal transformer arranged for decoding: products fused and packed, and rows of symbols that each go on from a
cache of their own; one symbol of one row in a compiled step.

Shapes: R rows, n new symbols a row, T cached sites, H heads, G key-value heads, E head width, D width, V symbols.
"""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..space import Refusal
from .compiling import Checked
from .layers import rotary_angles
from .packed import pack
from .steps import Grid, advance, advance_all, layer, placed, scores_of, stack, tensor_at
from .transformer import Block, Transformer

__all__ = ["Grid", "Incremental", "Room"]

FINER = 0.25  # the power of a channel's size by which it is rounded more finely
LINE = 64  # bytes of a cache line
BUCKET = 128  # sites by which the part of the cache that is looked at grows
SHORTEST, LONGEST = 256, 2048  # sites that a compiled step looks at: twice as many each time
TOGETHER = 8  # layers at most that are compiled as one: more take longer to compile, fewer to call
OPTIONS: Any = {"cpp_wrapper": True, "size_asserts": False}  # for a step that is called hundreds of times a second
COMPILERS = ("g++", "clang++", "c++")


@dataclass
class Room:
    """Keys and values of each layer, (R, G, T, E), by turns, in storage of their own; and the cosine and sine of each
    site, (T, E/2)."""

    cache: list[Tensor]
    angles: tuple[Tensor, Tensor]

    @property
    def sites(self) -> int:
        return self.cache[0].shape[2]

    def rows(self, begin: int, count: int) -> "Room":
        """A part that shares the storage."""
        if count == len(self.cache[0]):
            return self
        return Room([tensor[begin : begin + count] for tensor in self.cache], self.angles)

    def swap(self, one: int, other: int, used: int) -> None:
        """Two rows change places, as far as they are in use."""
        for tensor in self.cache:
            kept = tensor[one, :, :used].clone()
            tensor[one, :, :used] = tensor[other, :, :used]
            tensor[other, :, :used] = kept


def _zeros(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Zeros that take memory only where they have been written to: few texts are as long as a model could read."""
    size = math.prod(shape) * dtype.itemsize
    raw = np.zeros(size + LINE, np.uint8)  # torch's own zeros are written at once
    begin = -raw.ctypes.data % LINE
    return torch.from_numpy(raw[begin : begin + size]).view(dtype).view(shape)


class Incremental:
    """The network of an Autoregressive over symbols in a row, without prompts: a table (its last row what stands before
    the first symbol, if anything does), layers and a head. `bits`: 4, 8, 16 (bf16) or 32; see Matrix. `grid` gives
    the grid that a weight already lies on, by its name in the backbone, or None.

    A head of 4 bits costs 6 % of the perplexity, of which 1 % is left when the best scores are computed again in fp32,
    and 0.6 % when large channels are rounded more finely than small ones (Lin et al. 2024): for which `channels_D` is
    how large each is in what the head reads. Without it the head has 8 bits at least."""

    def __init__(
        self,
        backbone: Transformer,
        table_VD: Tensor,
        head_VD: Tensor,
        bits: int = 32,
        channels_D: Tensor | None = None,
        grid: Callable[[str], Grid | None] = lambda name: None,
    ):
        if backbone.modulation is not None:
            raise Refusal("a transformer modulated by noise levels decodes nothing symbol by symbol")
        self.dtype = torch.float32 if bits == 32 else torch.bfloat16
        self.table, layers = table_VD.float(), []
        for n, block in enumerate(backbone.blocks):
            assert isinstance(block, Block)
            tensors, self.shape = layer(block, bits, lambda name, n=n: grid(f"blocks.{n}.{name}.weight"))
            layers.append(tensors)
        self.together = next(n for n in range(TOGETHER, 0, -1) if len(layers) % n == 0)
        groups = [layers[n : n + self.together] for n in range(0, len(layers), self.together)]
        self.stacked = [[stack(same) for same in zip(*group, strict=True)] for group in groups]
        self.layers = [[tensor_at(t, n) for t in group] for group in self.stacked for n in range(self.together)]
        finer_D = torch.ones(head_VD.shape[1])
        if channels_D is not None and bits == 4:
            finer_D = (channels_D / channels_D.log().mean().exp()) ** FINER
        head = pack(head_VD * finer_D, bits if channels_D is not None else max(bits, 8))
        self.head = backbone.norm.weight.detach(), backbone.norm.epsilon, finer_D, head, head_VD.float()
        self.rotary = backbone.rotary_base, backbone.rotary_divisors
        self.compiled: dict[tuple[int, int, int], Callable[..., Tensor]] = {}  # steps by rows, symbols a row and sites
        self.scorers: dict[int, Callable[..., Tensor]] = {}  # compiled, by rows

    def room(self, rows: int, sites: int) -> Room:
        """Empty, for so many rows and sites."""
        shape = (rows, self.shape.kv_heads, -(-sites // BUCKET) * BUCKET, self.shape.head_width)
        angles = rotary_angles(torch.arange(shape[2])[:, None].float(), shape[3], *self.rotary)
        empty = [_zeros(shape, self.dtype) for _ in range(2 * len(self.layers))]
        return Room(empty, (angles.cos().to(self.dtype), angles.sin().to(self.dtype)))

    @torch.no_grad()
    def compile(self, sites: int, forms: Sequence[tuple[int, int]] = ((1, 1),)) -> bool:
        """Compiles the steps of so many rows and symbols a row, for rooms of so many sites: seconds for each length
        that they may look at, shortest first; each is used from then on. False where there is no C++ compiler."""
        if not any(map(shutil.which, COMPILERS)):
            return False
        checked = Checked(options=OPTIONS)
        step = torch.compile(partial(advance_all, shape=self.shape), dynamic=False, backend=checked)
        scorer = torch.compile(scores_of, dynamic=False, backend=checked)
        rooms = {rows: self.room(rows, sites) for rows, _ in forms}
        T, capacity = SHORTEST // 2, next(iter(rooms.values())).sites
        while min(capacity, LONGEST) > T:
            T = min(2 * T, capacity)
            for rows, symbols in forms:
                zeros, begin = torch.zeros(rows, symbols, dtype=torch.int64), torch.full((rows,), T - symbols)
                with torch._dynamo.config.patch(recompile_limit=1000):
                    x = self._run(zeros, begin, rooms[rows], T, step)
                    scorer(x.flatten(0, 1), *self.head)
                self.compiled[rows, symbols, T], self.scorers[rows * symbols] = step, scorer
        return True

    @torch.no_grad()
    def forward(self, symbols_Rn: Tensor, begin_R: Tensor, room: Room, last: bool = True) -> Tensor:
        """Scores fp32 (R, n, V), or with `last` (R, 1, V), of what follows symbols that stand at `begin` and after."""
        needed, form = int(begin_R.max()) + symbols_Rn.shape[1], tuple(symbols_Rn.shape)
        key = next((key for key in list(self.compiled) if key[:2] == form and needed <= key[2]), None)
        if key is not None:
            x = self._run(symbols_Rn, begin_R, room, key[2], self.compiled[key])
        else:
            x = self._run(symbols_Rn, begin_R, room, min(-(-needed // BUCKET) * BUCKET, room.sites))
        x = x[:, -1:] if last else x
        scorer = self.scorers.get(x.shape[0] * x.shape[1], scores_of)
        return scorer(x.flatten(0, 1), *self.head).view(len(x), x.shape[1], -1)

    __call__ = forward

    def _run(self, symbols_Rn: Tensor, begin_R: Tensor, room: Room, T: int, step: Any = None) -> Tensor:
        """fp32 (R, n, D) after all layers, of which a compiled `step` takes several; attention sees T sites."""
        x = self.table[symbols_Rn]
        if step is None:
            place = placed(begin_R, symbols_Rn.shape[1], room.angles, T)
            for n, tensors in enumerate(self.layers):
                x = advance(x, place, room.cache[2 * n : 2 * n + 2], tensors, self.shape)
            return x
        size = 2 * self.together
        for n, stacked in enumerate(self.stacked):
            x = step(x, begin_R, room.angles, T, room.cache[n * size : (n + 1) * size], stacked)
        return x
