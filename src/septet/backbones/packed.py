"""Matrices in few bits, for decoding: a processor spends that time on reading weights.

Shapes: M rows, K in, N out, G groups of a row of weights.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..space import Refusal

GROUP = 32  # weights that share a scale
TILE = 16  # rows that the 4-bit kernel takes at a time
FEW = {4: 16, 8: 6}  # rows up to which weights of so many bits are faster than bf16
BITS = (4, 8, 16, 32)


def quantised(weight_NK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scale and shift, fp32 (N, G), and numbers 0 to 15, int32 (N, K): weight = number * scale + shift. Exact for
    weights that lie on such a grid with both ends in use, as those of Q4_1 do."""
    grouped = weight_NK.float().unflatten(1, (-1, GROUP))
    low, high = grouped.amin(-1), grouped.amax(-1)
    scale = (high - low) / 15
    safe = scale.clamp(min=torch.finfo(torch.float32).tiny)
    numbers = ((grouped - low[..., None]) / safe[..., None]).round().clamp(0, 15)
    return scale, low, numbers.flatten(1).to(torch.int32)


class Matrix(NamedTuple):
    """A matrix (N, K) to multiply with. 4 bits are in groups of 32 with a scale and a shift, 8 bits have a scale a row;
    `dense`, in bf16, serves many rows at a time, or with 32 bits all. With 16 and 32 there is only that."""

    bits: int
    dense: Tensor
    packed: Tensor | None = None
    scales: Tensor | None = None


def pack(weight_NK: Tensor, bits: int, grid: tuple[Tensor, Tensor, Tensor] | None = None) -> Matrix:
    """A weight in so many bits. What the 4-bit kernel does not take, a height that is no multiple of TILE or a width
    that is none of GROUP, is kept in 8."""
    if bits not in BITS:
        raise Refusal(f"bits={bits}: expected one of {', '.join(map(str, BITS))}")
    if bits == 32:
        return Matrix(32, weight_NK.float())
    dense = weight_NK.bfloat16()
    if bits == 16:
        return Matrix(16, dense)
    if bits == 4 and weight_NK.shape[0] % TILE == 0 and weight_NK.shape[1] % GROUP == 0:
        scale, shift, numbers = grid or quantised(weight_NK)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers.contiguous(), 1)
        pairs = torch.stack([scale, shift + 8 * scale], -1).transpose(0, 1).contiguous()  # the kernel's zero is 8
        return Matrix(4, dense, packed, pairs.bfloat16())
    scale = weight_NK.float().abs().amax(1).clamp(min=1e-12) / 127
    return Matrix(8, dense, (weight_NK.float() / scale[:, None]).round().to(torch.int8), scale.bfloat16())


def product(x_MK: Tensor, matrix: Matrix) -> Tensor:
    """(M, N): up to FEW rows by the packed weights, more by the dense ones; x in the type of the dense ones."""
    bits, dense, packed, scales = matrix
    if packed is None or x_MK.shape[0] > FEW[bits]:
        return F.linear(x_MK, dense)
    if bits == 4:
        return torch.ops.aten._weight_int4pack_mm_for_cpu(x_MK, packed, GROUP, scales)
    return torch.ops.aten._weight_int8pack_mm(x_MK, packed, scales)
