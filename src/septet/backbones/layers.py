"""Building blocks of the transformer: rotary positions on grids, the key-value cache, attention, gated MLP.

Shapes: B batch, N sites, T cached sites, H heads, G key-value heads, E head width, D width, A axes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..contracts import Context
from ..space import Refusal


def rotary_angles(
    coordinates_NA: Tensor, head_width: int, base: float, divisors: Sequence[float] | None = None
) -> Tensor:
    """(…, N, E/2) angles of rotary position embeddings (Su et al. 2021). The frequencies of a head are divided evenly
    among the axes; one axis is the standard form of Llama and Qwen. Frequencies are divided by `divisors`, which extend
    the context length (Llama 3.1 and others)."""
    axes, pairs = coordinates_NA.shape[-1], head_width // 2
    angles = []
    for axis in range(axes):
        count = pairs // axes + (axis < pairs % axes)
        frequencies = base ** (-torch.arange(count, device=coordinates_NA.device) / count)
        angles.append(coordinates_NA[..., axis, None].float() * frequencies)
    turned = torch.cat(angles, dim=-1)
    return turned if divisors is None else turned / turned.new_tensor(divisors)


def rotate(x_BHNE: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotates pairs of elements from the two halves of each head, by cosines and sines (N, E/2) or (B, 1, N, E/2)."""
    first, second = x_BHNE.chunk(2, dim=-1)
    across, cosine, sine = torch.cat([second, first], -1), torch.cat([cosine, cosine], -1), torch.cat([-sine, sine], -1)
    return torch.addcmul(across * sine, x_BHNE, cosine)  # contiguous, which the products of attention require


def lowered(x: Tensor) -> Tensor:
    """Casts to autocast's dtype once, for several products of the same input, which would each cast it."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


def with_aligned(x_BND: Tensor, context: Context) -> Tensor:
    """Adds the context's content that is aligned with the sites, (B, N, D), if there is any."""
    aligned = context.aligned_BND
    if aligned is None:
        return x_BND
    if aligned.shape != x_BND.shape:
        raise Refusal(
            f"aligned content of shape {list(aligned.shape)}: expected that of the sites, {list(x_BND.shape)}"
        )
    return x_BND + aligned


class Cache:
    """The key-value cache of previous sites, in preallocated tensors."""

    def __init__(self, capacity: int):
        self.capacity, self.length = capacity, 0
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.valid_BT: Tensor | None = None

    def admit(self, valid_BN: Tensor) -> None:
        """Adds N sites; those where `valid_BN` is false are padding, masked out of attention. Call once before the
        layers."""
        if self.length + valid_BN.shape[1] > self.capacity:
            raise Refusal(f"{self.length + valid_BN.shape[1]} sites: the cache holds {self.capacity}; shorten it")
        self.valid_BT = valid_BN if self.valid_BT is None else torch.cat([self.valid_BT, valid_BN], 1)
        self.length += valid_BN.shape[1]

    def append(self, layer: int, keys_BGNE: Tensor, values_BGNE: Tensor) -> tuple[Tensor, Tensor]:
        """Stores new keys and values of a layer, and returns all of them."""
        if layer == len(self.layers):
            B, G, _, E = keys_BGNE.shape
            empty = keys_BGNE.new_empty(2, B, G, self.capacity, E)
            self.layers.append((empty[0], empty[1]))
        keys, values = self.layers[layer]
        begin = self.length - keys_BGNE.shape[2]
        keys[:, :, begin : self.length] = keys_BGNE
        values[:, :, begin : self.length] = values_BGNE
        return keys[:, :, : self.length], values[:, :, : self.length]

    def truncate(self, length: int) -> None:
        """Removes all sites from `length` on."""
        self.length = length
        self.valid_BT = None if self.valid_BT is None else self.valid_BT[:, :length]

    def select(self, rows: Tensor) -> None:
        """Selects, repeats or reorders the samples of the batch; repeating one reuses its prefix."""
        self.layers = [(keys[rows], values[rows]) for keys, values in self.layers]
        self.valid_BT = None if self.valid_BT is None else self.valid_BT[rows]


def attend(query_BHNE: Tensor, key_BGTE: Tensor, value_BGTE: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Softmax attention. In bf16 on a CPU, two plain products are 2 to 5 times faster than the fused kernel, including
    the backward pass, as long as the scores fit into the processor's cache."""
    heads, groups, sites, seen = query_BHNE.shape[1], key_BGTE.shape[1], query_BHNE.shape[2], key_BGTE.shape[2]
    if query_BHNE.device.type != "cpu" or query_BHNE.dtype != torch.bfloat16 or sites * seen > 512 * 512:
        return F.scaled_dot_product_attention(
            query_BHNE, key_BGTE, value_BGTE, attn_mask=mask, is_causal=causal, enable_gqa=heads != groups
        )
    if heads != groups:
        key_BGTE = key_BGTE.repeat_interleave(heads // groups, 1)
        value_BGTE = value_BGTE.repeat_interleave(heads // groups, 1)
    scores = (query_BHNE * query_BHNE.shape[-1] ** -0.5) @ key_BGTE.mT  # Vaswani et al. 2017, eq. 1
    if causal:
        mask = torch.ones(sites, seen, dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores + torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, -3e38)
    return scores.softmax(-1) @ value_BGTE


class Norm(nn.Module):
    """RMS normalisation (Zhang & Sennrich 2019) in the dtype of its input, with sums in at least fp32."""

    def __init__(self, width: int, epsilon: float = 1e-6):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(width)), epsilon

    def forward(self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """With `scale` and `shift`, the result is multiplied by 1 + scale and shifted. Written as separate operations,
        which are faster than F.rms_norm on a CPU."""
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
        inverse = (size.square() / x.shape[-1] + self.epsilon).rsqrt()
        weight = self.weight if scale is None else self.weight * (1 + scale)
        x = x * inverse.to(x.dtype)
        return x * weight.to(x.dtype) if shift is None else torch.addcmul(shift, x, weight)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(
        self, width: int, heads: int, kv_heads: int, head_width: int, norm: bool, bias: bool, epsilon: float = 1e-6
    ):
        super().__init__()
        self.heads, self.kv_heads, self.head_width = heads, kv_heads, head_width
        self.query = nn.Linear(width, heads * head_width, bias=bias)
        self.key = nn.Linear(width, kv_heads * head_width, bias=bias)
        self.value = nn.Linear(width, kv_heads * head_width, bias=bias)
        self.out = nn.Linear(heads * head_width, width, bias=False)
        self.query_norm = Norm(head_width, epsilon) if norm else nn.Identity()
        self.key_norm = Norm(head_width, epsilon) if norm else nn.Identity()

    def forward(self, x_BND: Tensor, turn: tuple[Tensor, Tensor], mask, causal: bool, cache=None, layer=0) -> Tensor:
        B, N, _ = x_BND.shape
        x_BND = lowered(x_BND)
        query = self.query_norm(self.query(x_BND).view(B, N, self.heads, -1)).transpose(1, 2)
        key = self.key_norm(self.key(x_BND).view(B, N, self.kv_heads, -1)).transpose(1, 2)
        value = self.value(x_BND).view(B, N, self.kv_heads, -1).transpose(1, 2)
        cosine, sine = turn[0].to(value.dtype), turn[1].to(value.dtype)
        query, key = rotate(query.to(value.dtype), cosine, sine), rotate(key.to(value.dtype), cosine, sine)
        if cache is not None:
            key, value = cache.append(layer, key, value)
        y = attend(query, key, value, mask, causal)
        return self.out(y.transpose(1, 2).reshape(B, N, -1))


class GatedMLP(nn.Module):
    """down(silu(gate x) * up x) (Shazeer 2020)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = lowered(x)
        return self.down(F.silu(self.gate(x)) * self.up(x))


class LevelEmbedding(nn.Module):
    """Embeds a noise level in [0, 1]: cosines and sines of geometric frequencies, then a two-layer MLP (Ho et al.
    2020)."""

    scale: Tensor

    def __init__(self, width: int, frequencies: int = 128):
        super().__init__()
        self.register_buffer("scale", 1000.0 * 10000.0 ** (-torch.arange(frequencies) / frequencies), persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, level: Tensor) -> Tensor:
        angle = level[..., None].float() * self.scale
        return self.layers(torch.cat([angle.cos(), angle.sin()], dim=-1))
