"""A causal transformer arranged for decoding: products fused and packed, and rows of symbols that each go on from a
cache of their own.

Shapes: R rows, n new symbols a row, T cached sites, H heads, G key-value heads, E head width, D width, V symbols.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..space import Refusal
from .layers import rotary_angles, rotate
from .packed import PackedLinear
from .transformer import Block, Transformer

Grid = tuple[Tensor, Tensor, Tensor]
REFINED = 64  # scores a row that are computed in fp32
BUCKET = 128  # sites by which the part of the cache that is looked at grows


class Layer(nn.Module):
    """A Block with its queries, keys and values as one product, and gate and up as one."""

    def __init__(self, block: Block, bits: int, grid: Callable[[str], Grid | None]):
        super().__init__()
        attention, mlp = block.attention, block.mlp
        self.heads, self.kv_heads, self.head_width = attention.heads, attention.kv_heads, attention.head_width
        self.attention_norm, self.mlp_norm = block.attention_norm, block.mlp_norm
        self.query_norm, self.key_norm = attention.query_norm, attention.key_norm
        parts = (attention.query, attention.key, attention.value)
        names = ("attention.query", "attention.key", "attention.value")
        self.into = PackedLinear(torch.cat([p.weight for p in parts]), bits, _joined([grid(n) for n in names]))
        biases: list[Tensor] = [p.bias for p in parts if p.bias is not None]
        self.bias = torch.cat(biases) if biases else None
        self.out = PackedLinear(attention.out.weight, bits, grid("attention.out"))
        self.gate_up = PackedLinear(
            torch.cat([mlp.gate.weight, mlp.up.weight]), bits, _joined([grid("mlp.gate"), grid("mlp.up")])
        )
        self.down = PackedLinear(mlp.down.weight, bits, grid("mlp.down"))

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor, keys: Tensor, values: Tensor, at) -> Tensor:
        """x fp32 (R, n, D); keys and values (R, G, T, E) of which the new sites are written at `at`, (rows, sites)."""
        R, n, D = x.shape
        kind = keys.dtype
        y = self.into(self.attention_norm(x).to(kind).view(R * n, D))
        y = y if self.bias is None else y + self.bias.to(kind)
        y = y.view(R, n, self.heads + 2 * self.kv_heads, self.head_width)
        query, key, value = y.split([self.heads, self.kv_heads, self.kv_heads], 2)
        query, key = self.query_norm(query).to(kind).transpose(1, 2), self.key_norm(key).to(kind).transpose(1, 2)
        query, key = rotate(query, *turn), rotate(key, *turn)
        keys[at[0], :, at[1]] = key.transpose(1, 2)
        values[at[0], :, at[1]] = value
        T, share = mask.shape[-1], self.heads // self.kv_heads
        grouped = query.reshape(R, self.kv_heads, share * n, self.head_width) * self.head_width**-0.5
        scores = (grouped @ keys[:, :, :T].mT).view(R, self.kv_heads, share, n, T) + mask
        mixed = scores.float().softmax(-1).to(kind).view(R, self.kv_heads, share * n, T) @ values[:, :, :T]
        mixed = mixed.view(R, self.heads, n, self.head_width).transpose(1, 2).reshape(R * n, -1)
        x = x + self.out(mixed).view(R, n, D)
        gate, up = self.gate_up(self.mlp_norm(x).to(kind).view(R * n, D)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up).view(R, n, D)


def _joined(grids: list[Grid | None]) -> Grid | None:
    """The grids of matrices that become one; None if one of them has none."""
    found = [grid for grid in grids if grid is not None]
    if len(found) < len(grids):
        return None
    scale, shift, numbers = (torch.cat(parts) for parts in zip(*found, strict=True))
    return scale, shift, numbers


class Incremental(nn.Module):
    """The network of an Autoregressive over symbols in a row, without prompts: a table (its last row what stands before
    the first symbol, if anything does), layers and a head. `bits`: 4, 8, 16 (bf16) or 32; see PackedLinear. `grid`
    gives the grid that a weight already lies on, by its name in the backbone, or None."""

    table: Tensor

    def __init__(
        self,
        backbone: Transformer,
        table_VD: Tensor,
        head_VD: Tensor,
        bits: int = 32,
        head_bits: int | None = None,
        grid: Callable[[str], Grid | None] = lambda name: None,
    ):
        super().__init__()
        if backbone.modulation is not None:
            raise Refusal("a transformer modulated by noise levels decodes nothing symbol by symbol")
        self.dtype = torch.float32 if bits == 32 else torch.bfloat16
        self.register_buffer("table", table_VD.float())
        self.layers = nn.ModuleList(
            Layer(block, bits, lambda name, n=n: grid(f"blocks.{n}.{name}.weight"))
            for n, block in enumerate(backbone.blocks)
            if isinstance(block, Block)
        )
        first = self.layers[0]
        assert isinstance(first, Layer)
        self.head_width, self.kv_heads = first.head_width, first.kv_heads
        self.norm = backbone.norm
        self.head, self.exact_head = PackedLinear(head_VD, head_bits or bits), head_VD.float()
        self.rotary = backbone.rotary_base, backbone.rotary_divisors

    def room(self, rows: int, sites: int) -> tuple[Tensor, Tensor]:
        """Empty keys and values for so many rows and sites, (layers, R, G, T, E)."""
        shape = (len(self.layers), rows, self.kv_heads, -(-sites // BUCKET) * BUCKET, self.head_width)
        return torch.zeros(shape, dtype=self.dtype), torch.zeros(shape, dtype=self.dtype)

    @torch.no_grad()
    def forward(self, symbols_Rn: Tensor, begin_R: Tensor, room: tuple[Tensor, Tensor], last: bool = True) -> Tensor:
        """Scores fp32 (R, n, V), or with `last` (R, 1, V), of what follows symbols that stand at `begin` and after."""
        R, n = symbols_Rn.shape
        sites = begin_R[:, None] + torch.arange(n)
        T = min(-(-(int(begin_R.max()) + n) // BUCKET) * BUCKET, room[0].shape[3])
        angles = rotary_angles(sites[..., None].float(), self.head_width, *self.rotary)[:, None]
        turn = angles.cos().to(self.dtype), angles.sin().to(self.dtype)
        hidden = torch.arange(T) > sites[..., None]  # (R, n, T)
        mask = torch.zeros(hidden.shape, dtype=self.dtype).masked_fill(hidden, -3e38)[:, None, None]
        at = torch.arange(R)[:, None].expand(R, n), sites
        x = self.table[symbols_Rn]
        for layer, keys, values in zip(self.layers, *room, strict=True):
            x = layer(x, turn, mask, keys, values, at)
        x = self.norm(x[:, -1:] if last else x)
        return self._scores(x.flatten(0, 1)).view(R, x.shape[1], -1)

    def _scores(self, x_MD: Tensor) -> Tensor:
        """fp32 (M, V). The best REFINED of each row are computed again in fp32: bf16 would make near ones equal."""
        scores = self.head(x_MD.to(self.dtype)).float()
        if self.dtype == torch.float32:
            return scores
        best = scores.topk(min(REFINED, scores.shape[1]), sorted=False).indices
        exact = (self.exact_head[best] @ x_MD.float()[..., None])[..., 0]
        return scores.scatter(1, best, exact)
