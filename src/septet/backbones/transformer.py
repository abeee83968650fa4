"""The transformer for all processes: causal or bidirectional, plain (Llama, Qwen) or modulated by noise levels (DiT).

Shapes: B batch, N sites, M context tokens, L = M + N, K noise levels per sample, D width, A axes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..contracts import Backbone, Context, Places
from ..space import Refusal
from .layers import Attention, Cache, GatedMLP, LevelEmbedding, Norm, rotary_angles, with_aligned


class Block(nn.Module):
    """Pre-norm attention and gated MLP; `offset` is added to the shifts, scales and gates that all blocks share."""

    def __init__(
        self, width: int, attention: Attention, hidden: int, dropout: float, modulated: bool, epsilon: float = 1e-6
    ):
        super().__init__()
        self.attention_norm, self.mlp_norm = Norm(width, epsilon), Norm(width, epsilon)
        self.attention, self.mlp = attention, GatedMLP(width, hidden)
        self.dropout = dropout
        self.offset = nn.Parameter(torch.zeros(6 * width)) if modulated else None

    def forward(self, x: Tensor, turn, mask, causal: bool, modulation: Tensor | None, cache=None, layer=0) -> Tensor:
        if self.offset is None or modulation is None:
            x = x + self._drop(self.attention(self.attention_norm(x), turn, mask, causal, cache, layer))
            return x + self._drop(self.mlp(self.mlp_norm(x)))
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (modulation + self.offset).chunk(6, dim=-1)
        y = self.attention_norm(x, scale_a, shift_a)  # adaLN, Peebles & Xie 2023; shared as in Chen et al. 2023
        y = self.attention(y, turn, mask, causal, cache, layer)
        x = torch.addcmul(x, gate_a, self._drop(y))
        y = self.mlp_norm(x, scale_m, shift_m)
        return torch.addcmul(x, gate_m, self._drop(self.mlp(y)))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training and self.dropout > 0 else x


class Transformer(Backbone):
    """Maps (B, N, D) to (B, N, D). Context tokens precede the sites, the m-th at coordinate -1 - m on every axis, and
    do not attend to them. Without `modulated`, a context vector becomes one more such token.

    `hidden` defaults to 8/3 of the width, rounded up to a multiple of 32; `kv_heads` to `heads`; `head_width` to
    width / heads. `epsilon` is that of every norm; for `rotary_divisors` see layers.rotary_angles.
    """

    def __init__(
        self,
        width: int = 256,
        layers: int = 6,
        heads: int = 4,
        kv_heads: int | None = None,
        head_width: int | None = None,
        hidden: int | None = None,
        modulated: bool = False,
        query_key_norm: bool = True,
        bias: bool = False,
        dropout: float = 0.0,
        rotary_base: float = 10000.0,
        rotary_divisors: list[float] | None = None,
        epsilon: float = 1e-6,
    ):
        super().__init__()
        kv_heads, head_width = kv_heads or heads, head_width or width // heads
        if heads % kv_heads:
            raise Refusal(f"heads={heads}, kv_heads={kv_heads}: the first must be a multiple of the second")
        if head_width % 2:
            raise Refusal(
                f"head_width={head_width}: rotary positions need an even number; choose another width or heads"
            )
        if rotary_divisors is not None and len(rotary_divisors) != head_width // 2:
            raise Refusal(
                f"{len(rotary_divisors)} rotary divisors: a head of {head_width} has {head_width // 2} frequencies"
            )
        hidden = hidden or -(-width * 8 // 3 // 32) * 32
        self.width, self.head_width = width, head_width
        self.rotary_base, self.rotary_divisors = rotary_base, rotary_divisors
        shape = (width, heads, kv_heads, head_width, query_key_norm, bias, epsilon)
        self.blocks = nn.ModuleList(
            Block(width, Attention(*shape), hidden, dropout, modulated, epsilon) for _ in range(layers)
        )
        self.norm = Norm(width, epsilon)
        self.level_embedding = LevelEmbedding(width) if modulated else None
        self.modulation = nn.Linear(width, 8 * width) if modulated else None
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.5 * module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in self.modules():
            if isinstance(block, Block):  # every block starts as the identity
                nn.init.zeros_(block.attention.out.weight)
                nn.init.zeros_(block.mlp.down.weight)
                if block.offset is not None:
                    with torch.no_grad():
                        block.offset.view(6, -1)[[2, 5]] = 1.0

    @classmethod
    def tiny(cls) -> "Transformer":
        return cls(width=32, layers=2, heads=2, modulated=True)

    def forward(
        self, x_BND: Tensor, places: Places, context: Context, levels=None, cache: Cache | None = None
    ) -> Tensor:
        B, N, _ = x_BND.shape
        x_BND = with_aligned(x_BND, context)
        tokens, valid = self._leading(context) if cache is None or cache.length == 0 else (None, None)
        M = 0 if tokens is None else tokens.shape[1]
        x = x_BND if tokens is None else torch.cat([tokens.to(x_BND.dtype), x_BND], 1)
        turn = self._turn(places.coordinates_NA, M, x.device)
        mask, causal = self._mask(B, N, M, places, valid, cache)
        modulation, last = self._modulate(context, levels, B, M)
        for layer, block in enumerate(self.blocks):
            run = block if self.training else block.forward  # compiled blocks are for training: shapes vary in sampling
            x = run(x, turn, mask, causal, modulation, cache, layer)
        if last is None:
            return self.norm(x[:, M:])
        shift, scale = (last if last.shape[1] == 1 else last[:, M:]).chunk(2, dim=-1)
        return self.norm(x[:, M:], scale, shift)

    def _leading(self, context: Context) -> tuple[Tensor | None, Tensor | None]:
        tokens, valid = context.tokens_BMD, context.valid_BM
        if tokens is not None and valid is None:
            valid = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        if tokens is None and context.vector_BD is not None and self.modulation is None:
            tokens = context.vector_BD[:, None]
            valid = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return (None, None) if tokens is None or tokens.shape[1] == 0 else (tokens, valid)

    def _turn(self, coordinates: Tensor, M: int, device) -> tuple[Tensor, Tensor]:
        coordinates = coordinates.to(device)
        if M:
            leading = (-1.0 - torch.arange(M, device=device))[:, None].expand(M, coordinates.shape[-1])
            if coordinates.dim() == 3:
                leading = leading.expand(coordinates.shape[0], -1, -1)
            coordinates = torch.cat([leading, coordinates], dim=-2)
        angles = rotary_angles(coordinates, self.head_width, self.rotary_base, self.rotary_divisors)
        angles = angles[:, None] if angles.dim() == 3 else angles
        return angles.cos(), angles.sin()

    def _mask(self, B: int, N: int, M: int, places: Places, valid, cache: Cache | None):
        """The attention mask, or None if none is needed; then, whether attention is causal."""
        device = places.coordinates_NA.device if valid is None else valid.device
        if cache is not None:
            shown = torch.ones(B, N, dtype=torch.bool, device=device)
            shown = shown if places.documents_BN is None else places.documents_BN >= 0
            cache.admit(shown if valid is None else torch.cat([valid, shown], 1))
            assert cache.valid_BT is not None
            if M + N == 1:
                return (None if bool(cache.valid_BT.all()) else cache.valid_BT[:, None, None]), False
            seen = torch.arange(cache.length, device=device)
            now = seen[cache.length - M - N :, None]
            mask = (seen[None] <= now.clamp(min=M - 1)) & cache.valid_BT[:, None, None]
            return mask | (seen[None] == now), False  # padding attends to itself: softmax needs one key
        if M == 0 and places.documents_BN is None:
            return None, places.causal
        mask = torch.ones(1, 1, M + N, M + N, dtype=torch.bool, device=device)
        if places.causal:
            place = torch.arange(M + N, device=device)
            mask = (place[None] <= place[:, None].clamp(min=M - 1))[None, None]
        elif M:
            mask[..., :M, M:] = False
        if valid is not None:
            seen = torch.cat([valid, valid.new_ones(B, N)], 1)
            mask = mask & seen[:, None, None]
        if places.documents_BN is not None:
            documents = places.documents_BN
            same = (documents[:, :, None] == documents[:, None]) & (documents >= 0)[:, None]
            same = same | torch.eye(
                N, dtype=torch.bool, device=device
            )  # padding attends to itself: softmax needs one key
            mask = mask & F.pad(same, (M, 0, M, 0), value=True)[:, None]
        return mask, False

    def _modulate(self, context: Context, levels, B: int, M: int):
        """(B, 1 or L, 6 D) for the blocks and (B, 1 or L, 2 D) for the last norm, or None for both."""
        if self.modulation is None or self.level_embedding is None:
            return None, None
        width = 8 * self.width
        if levels is None and context.vector_BD is None:
            return self.modulation.bias.expand(B, 1, width).split([6 * self.width, 2 * self.width], dim=-1)
        vector = 0 if context.vector_BD is None else context.vector_BD[:, None]
        if levels is not None:
            vector = vector + self.level_embedding(levels[0])
        parameters = self.modulation(F.silu(vector))
        if levels is not None and parameters.shape[1] > 1:
            which = F.pad(levels[1], (M, 0))  # context tokens have the first level
            parameters = parameters.gather(1, which[..., None].expand(-1, -1, width))
        return parameters.split([6 * self.width, 2 * self.width], dim=-1)
