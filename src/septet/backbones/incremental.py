"""Incremental decoding with a causal transformer: fused and quantised matrix products, a key-value cache per row, and
compiled steps.

Shapes: R rows, n new symbols per row, T cached sites, H heads, G key-value heads, E head width, D width, V vocabulary.
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

FINER = 0.25  # channels of the head are scaled by this power of their magnitude before rounding
LINE = 64  # bytes of a cache line of the processor
BUCKET = 128  # attention covers a multiple of this many cached sites
SHORTEST, LONGEST = 256, 2048  # cached sites that compiled steps cover: 256, 512, ... 2048
TOGETHER = 8  # most layers that are compiled as one function: with more, compiling is slower; with fewer, calls are
OPTIONS: Any = {"cpp_wrapper": True, "size_asserts": False}  # less overhead per call, of which there are many
COMPILERS = ("g++", "clang++", "c++")


@dataclass
class Room:
    """The key-value cache: keys and values of each layer, alternating, (R, G, T, E); and the rotary cosines and sines
    of each site, (T, E/2)."""

    cache: list[Tensor]
    angles: tuple[Tensor, Tensor]

    @property
    def sites(self) -> int:
        return self.cache[0].shape[2]

    def rows(self, begin: int, count: int) -> "Room":
        """A view of some rows."""
        if count == len(self.cache[0]):
            return self
        return Room([tensor[begin : begin + count] for tensor in self.cache], self.angles)

    def swap(self, one: int, other: int, used: int) -> None:
        """Swaps the first `used` sites of two rows."""
        for tensor in self.cache:
            kept = tensor[one, :, :used].clone()
            tensor[one, :, :used] = tensor[other, :, :used]
            tensor[other, :, :used] = kept


def _zeros(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Zeros whose memory is allocated only when it is written to, since few texts use the full context length."""
    size = math.prod(shape) * dtype.itemsize
    raw = np.zeros(size + LINE, np.uint8)  # torch.zeros writes all of them immediately
    begin = -raw.ctypes.data % LINE
    return torch.from_numpy(raw[begin : begin + size]).view(dtype).view(shape)


class Incremental:
    """The network of an unconditional Autoregressive process over sequences, arranged for decoding.

    `table_VD` is the embedding table, with the start embedding, if there is one, as its last row; `head_VD` is the
    output head. `bits` is 4, 8, 16 (bf16) or 32; see Matrix. `grid` returns the quantisation of a weight that was
    published in 4 bits, by its name in the backbone, or None.

    Quantising the head to 4 bits raises perplexity by 6 %; by 1 % if the best scores are computed again in fp32, and by
    0.6 % if large channels are rounded more finely than small ones, too (AWQ, Lin et al. 2024). The latter needs
    `channels_D`, the magnitude of each channel of the head's input; without it, the head has at least 8 bits.
    """

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
            raise Refusal("a transformer modulated by noise levels cannot be used for decoding")
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
        self.compiled: dict[tuple[int, int, int], Callable[..., Tensor]] = {}  # by rows, symbols per row, sites
        self.scorers: dict[int, Callable[..., Tensor]] = {}  # compiled, by rows

    def room(self, rows: int, sites: int) -> Room:
        """Creates an empty cache for `rows` rows of `sites` sites."""
        shape = (rows, self.shape.kv_heads, -(-sites // BUCKET) * BUCKET, self.shape.head_width)
        angles = rotary_angles(torch.arange(shape[2])[:, None].float(), shape[3], *self.rotary)
        empty = [_zeros(shape, self.dtype) for _ in range(2 * len(self.layers))]
        return Room(empty, (angles.cos().to(self.dtype), angles.sin().to(self.dtype)))

    @torch.no_grad()
    def compile(self, sites: int, forms: Sequence[tuple[int, int]] = ((1, 1),)) -> bool:
        """Compiles steps for each (rows, symbols per row) in `forms`, and caches of `sites` sites. Takes seconds for
        each cache length, shortest first; each is used as soon as it is compiled. Returns False without a C++
        compiler."""
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
        """fp32 scores of the symbols that follow `symbols_Rn`, which begin at the sites `begin_R`: (R, n, V), or with
        `last`, only those after the last symbol, (R, 1, V)."""
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
        """fp32 (R, n, D) after all layers; attention covers T cached sites. A compiled `step` runs several layers."""
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
