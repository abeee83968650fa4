"""The U-Net: a convolutional backbone on a fixed grid.

Shapes: B batch, N sites, M context tokens, D width, W width of a stage, K noise levels per sample.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..contracts import Backbone, Context, Places
from ..space import Refusal
from .convolution import Residual, convolution, normalisation, to_grid, to_sites
from .layers import Attention, LevelEmbedding, rotary_angles, with_aligned


class Meeting(nn.Module):
    """Attention among the sites of a small grid and the context tokens, which precede them."""

    def __init__(self, width: int, token_width: int):
        super().__init__()
        heads = max(1, width // 32)
        self.norm = nn.LayerNorm(width)
        self.tokens = nn.Linear(token_width, width)
        self.attention = Attention(width, heads, heads, width // heads // 2 * 2, norm=True, bias=False)
        nn.init.zeros_(self.attention.out.weight)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        shape, x_BNW = tuple(x.shape[2:]), to_sites(x)
        axes = [torch.arange(n, dtype=torch.float32, device=x.device) for n in shape]
        coordinates = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
        y, mask, M = self.norm(x_BNW), None, 0
        if context.tokens_BMD is not None and context.tokens_BMD.shape[1] > 0:
            M = context.tokens_BMD.shape[1]
            y = torch.cat([self.tokens(context.tokens_BMD).to(y.dtype), y], 1)
            leading = (-1.0 - torch.arange(M, device=x.device))[:, None].expand(M, len(shape))
            coordinates = torch.cat([leading, coordinates])
            if context.valid_BM is not None:
                mask = F.pad(context.valid_BM, (0, x_BNW.shape[1]), value=True)[:, None, None]
        angles = rotary_angles(coordinates, self.attention.head_width, 10000.0)
        y = self.attention(y, (angles.cos(), angles.sin()), mask, causal=False)
        return x + to_grid(y[:, M:], shape)


class Stage(nn.ModuleList):
    """Blocks in sequence, conditioned on the same vector."""

    def forward(self, x: Tensor, vector_BD: Tensor) -> Tensor:
        for block in self:
            x = block(x, vector_BD)
        return x


class UNet(Backbone):
    """Maps (B, N, D) to (B, N, D) on a grid of `shape` (Ronneberger et al. 2015; Ho et al. 2020). `widths` are those of
    the stages, in multiples of the width; each has half the grid of the previous one. The blocks are modulated by the
    first level, that of unknown sites, and by the context vector; the level of each site is an input channel. Sites
    attend to context tokens on the smallest grid."""

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 64,
        widths: tuple[float, ...] = (1, 2, 2),
        blocks: int = 1,
        attention: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.shape, self.width = tuple(shape), width
        axes, stages = len(self.shape), [int(width * multiple) for multiple in widths]
        if any(w < 4 or w % 4 for w in stages):
            raise Refusal(f"width={width}, widths={list(widths)}: every stage needs a width that is a multiple of 4")
        vector = 2 * width
        self.level_embedding, self.told = LevelEmbedding(vector), nn.Linear(width, vector)
        self.enter = convolution(axes, width + 1, stages[0])
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for stage, w in enumerate(stages):
            self.down.append(Stage(Residual(axes, w, w, vector, dropout) for _ in range(blocks)))
            entering = [2 * w] + [w] * (blocks - 1)  # the first block of a stage takes the skip connection, too
            self.up.append(Stage(Residual(axes, e, w, vector, dropout) for e in entering))
            if stage + 1 < len(stages):
                self.shrink.append(convolution(axes, w, stages[stage + 1], stride=2))
                self.grow.append(convolution(axes, stages[stage + 1], w))
        self.middle = Residual(axes, stages[-1], stages[-1], vector, dropout)
        self.meeting = Meeting(stages[-1], width) if attention else None
        self.norm, self.leave = normalisation(stages[0]), convolution(axes, stages[0], width)

    @classmethod
    def tiny(cls) -> "UNet":
        return cls((4, 4), width=32, widths=(0.5, 1))

    def forward(self, x_BND: Tensor, places: Places, context: Context, levels=None, cache=None) -> Tensor:
        self._accept(x_BND, places, context, cache)
        vector_BD = self._vector(x_BND, context, levels)
        x_BND = with_aligned(x_BND, context)
        x = self.enter(to_grid(torch.cat([x_BND, self._site_levels(x_BND, levels)], -1), self.shape))
        skips = []
        for stage, blocks in enumerate(self.down):
            x = blocks(x, vector_BD)
            skips.append(x)
            x = self.shrink[stage](x) if stage < len(self.shrink) else x
        x = x if self.meeting is None else self.meeting(x, context)
        x = self.middle(x, vector_BD)
        for stage in range(len(skips) - 1, -1, -1):
            if stage < len(self.grow):
                x = self.grow[stage](F.interpolate(x, skips[stage].shape[2:], mode="nearest"))
            x = self.up[stage](torch.cat([x, skips[stage]], 1), vector_BD)
        return to_sites(self.leave(F.silu(self.norm(x))))

    def _accept(self, x_BND: Tensor, places: Places, context: Context, cache) -> None:
        if x_BND.shape[1] != math.prod(self.shape):
            raise Refusal(f"UNet: got {x_BND.shape[1]} sites for a grid of {self.shape}; match the codec's grid")
        if places.causal or places.documents_BN is not None or cache is not None:
            raise Refusal("UNet: causal attention, documents and caches are not supported; use a Transformer")
        if self.meeting is None and context.vector_BD is None and context.tokens_BMD is not None:
            raise Refusal("UNet: context tokens are not supported with attention=False; set attention=True")

    def _vector(self, x_BND: Tensor, context: Context, levels) -> Tensor:
        vector = x_BND.new_zeros(x_BND.shape[0], 2 * self.width)
        vector = vector if levels is None else vector + self.level_embedding(levels[0][:, 0])
        return F.silu(vector if context.vector_BD is None else vector + self.told(context.vector_BD))

    def _site_levels(self, x_BND: Tensor, levels) -> Tensor:
        """(B, N, 1): the noise level of each site."""
        B, N, _ = x_BND.shape
        if levels is None:
            return x_BND.new_zeros(B, N, 1)
        level_BK, which_BN = levels
        level_BN = level_BK[:, :1].expand(B, N) if which_BN is None else level_BK.gather(1, which_BN)
        return level_BN[..., None].to(x_BND.dtype)
