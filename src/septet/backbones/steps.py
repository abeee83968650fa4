"""The layers of a decoding step, as plain functions of flat lists of tensors, which can be compiled.

Shapes: R rows, n new symbols per row, T cached sites, H heads, G key-value heads, E head width, D width, V vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .packed import Matrix, pack, product
from .transformer import Block

Grid = tuple[Tensor, Tensor, Tensor]
REFINED = 128  # scores per row that are computed again in fp32


class Shape(NamedTuple):
    """Sizes that all layers have in common."""

    heads: int
    kv_heads: int
    head_width: int
    epsilon: float
    bits: tuple[int, ...]  # of the four matrices


def layer(block: Block, bits: int, grid: Callable[[str], Grid | None]) -> tuple[list[Tensor | None], Shape]:
    """A block's tensors as a flat list, with query, key and value fused to one matrix, and gate and up; and its
    Shape."""
    attention, mlp = block.attention, block.mlp
    parts = (attention.query, attention.key, attention.value)
    names = ("attention.query", "attention.key", "attention.value")
    matrices = (
        pack(torch.cat([p.weight for p in parts]), bits, _joined([grid(n) for n in names])),
        pack(attention.out.weight, bits, grid("attention.out")),
        pack(torch.cat([mlp.gate.weight, mlp.up.weight]), bits, _joined([grid("mlp.gate"), grid("mlp.up")])),
        pack(mlp.down.weight, bits, grid("mlp.down")),
    )
    biases: list[Tensor] = [p.bias for p in parts if p.bias is not None]
    norms = [getattr(norm, "weight", None) for norm in (attention.query_norm, attention.key_norm)]
    head = [block.attention_norm.weight, block.mlp_norm.weight, *norms, torch.cat(biases) if biases else None]
    shape = (attention.heads, attention.kv_heads, attention.head_width, block.attention_norm.epsilon)
    flat = [*head, *(tensor for matrix in matrices for tensor in matrix[1:])]
    detached = [None if tensor is None else tensor.detach() for tensor in flat]
    return detached, Shape(*shape, tuple(matrix.bits for matrix in matrices))


def _joined(grids: list[Grid | None]) -> Grid | None:
    """Concatenates the quantisations of matrices that are fused; None if one of them has none."""
    found = [grid for grid in grids if grid is not None]
    if len(found) < len(grids):
        return None
    scale, shift, numbers = (torch.cat(parts) for parts in zip(*found, strict=True))
    return scale, shift, numbers


def _mix(query_RHnE: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Attention by two batched products, (R n, H E)."""
    R, H, n, E = query_RHnE.shape
    G, T = keys.shape[1], keys.shape[2]
    grouped = query_RHnE.reshape(R, G, H // G * n, E)
    scores = (grouped @ keys.mT).view(R, G, H // G, n, T) + mask
    mixed = scores.float().softmax(-1).to(keys.dtype).view(R, G, H // G * n, T) @ values
    return mixed.view(R, H, n, E).transpose(1, 2).reshape(R * n, H * E)


def _mix_one(query_RHnE: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """The same for one symbol per row, as sums, which the compiler fuses: batched products take twice as long."""
    R, H, _, E = query_RHnE.shape
    query = query_RHnE.reshape(R, keys.shape[1], -1, 1, E).float()
    chances = ((query * keys.float()[:, :, None]).sum(-1) + mask[:, :, :, 0]).softmax(-1)
    return (chances[..., None] * values.float()[:, :, None]).sum(-2).to(keys.dtype).reshape(R, H * E)


def _rotate(x_RHnE: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """layers.rotate, in operations that the compiler fuses better: a step takes 2 % less time."""
    first, second = x_RHnE.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def advance_all(x, begin_R, angles, T: int, cache, stacked, shape: Shape) -> Tensor:
    """Runs several layers whose tensors are stacked: a compiled function checks each argument on every call, which
    would take longer for many tensors than the layers do."""
    place, mix = placed(begin_R, x.shape[1], angles, T), _mix_one if x.shape[1] == 1 else _mix
    for n in range(len(cache) // 2):
        tensors = [tensor_at(tensor, n) for tensor in stacked]
        x = advance(x, place, cache[2 * n : 2 * n + 2], tensors, shape, mix)
    return x


def advance(x, place, cache, tensors, shape: Shape, mix: Callable[..., Tensor] = _mix) -> Tensor:
    """Runs one layer on fp32 (R, n, D). `place` is the result of `placed`; `mix` computes attention."""
    turn, at, mask = place
    attention_norm, mlp_norm, query_norm, key_norm, bias, *rest = tensors
    into, out, gate_up, down = (Matrix(b, *rest[3 * i : 3 * i + 3]) for i, b in enumerate(shape.bits))
    (keys, values), (R, n, D) = cache, x.shape
    H, G, E = shape.heads, shape.kv_heads, shape.head_width
    kind = keys.dtype

    def norm(x: Tensor, weight: Tensor | None) -> Tensor:
        return x if weight is None else F.rms_norm(x.float(), weight.shape, weight, shape.epsilon).to(kind)

    y = product(norm(x, attention_norm).view(R * n, D), into)
    y = (y if bias is None else y + bias.to(kind)).view(R, n, H + 2 * G, E)
    query, key, value = y.split([H, G, G], 2)
    turned = _rotate(torch.cat([norm(query, query_norm), norm(key, key_norm)], 2).transpose(1, 2), *turn)
    keys[at[0], :, at[1]] = turned[:, H:].transpose(1, 2)
    values[at[0], :, at[1]] = value
    query, T = turned[:, :H] * E**-0.5, mask.shape[-1]
    mixed = mix(query, keys[:, :, :T], values[:, :, :T], mask)
    x = x + product(mixed, out).view(R, n, D)
    gate, up = product(norm(x, mlp_norm).view(R * n, D), gate_up).chunk(2, -1)
    return x + product(F.silu(gate) * up, down).view(R, n, D)


def placed(begin_R: Tensor, n: int, angles: tuple[Tensor, Tensor], T: int):
    """For n symbols per row that begin at the sites `begin_R`: rotary cosines and sines, indices in the cache, and the
    causal mask that is added to attention scores, (R, 1, 1, n, T)."""
    sites_Rn = begin_R[:, None] + torch.arange(n)
    turn = angles[0][sites_Rn][:, None], angles[1][sites_Rn][:, None]
    hidden = torch.arange(T) > sites_Rn[..., None]
    mask = torch.zeros(hidden.shape, dtype=angles[0].dtype).masked_fill(hidden, -3e38)[:, None, None]
    return turn, (torch.arange(len(begin_R))[:, None].expand_as(sites_Rn), sites_Rn), mask


def scores_of(x_MD: Tensor, norm_D: Tensor, epsilon: float, finer_D: Tensor, head: Matrix, exact_VD: Tensor) -> Tensor:
    """fp32 (M, V) scores. The REFINED best of each row are computed again in fp32, since bf16 rounds close ones to
    equal values."""
    x_MD = x_MD * torch.rsqrt(x_MD.square().mean(-1, keepdim=True) + epsilon) * norm_D  # F.rms_norm is 5 times slower
    scores = product((x_MD / finer_D).to(head.dense.dtype), head).float()
    if head.bits == 32:
        return scores
    best = scores.topk(min(REFINED, scores.shape[1]), sorted=False).indices
    exact = (exact_VD[best] @ x_MD[..., None])[..., 0]
    return scores.scatter(1, best, exact)


def stack(tensors: Sequence[Tensor | None]) -> Tensor | None:
    found = [tensor for tensor in tensors if tensor is not None]
    return torch.stack(found) if found else None


def tensor_at(tensor: Tensor | None, index: int) -> Tensor | None:
    return None if tensor is None else tensor[index]
