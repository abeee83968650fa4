"""Quantised matrices for decoding, whose time is spent on reading weights from memory.

Shapes: M rows of the input, K inputs, N outputs, G groups per row of weights.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..space import Refusal

GROUP = 32  # weights that share a scale
TILE = 16  # the 4-bit kernel needs a multiple of this many rows
FEW = {4: 16, 8: 6}  # by bits: most rows of the input for which quantised weights are faster than bf16
BITS = (4, 8, 16, 32)


def quantised(weight_NK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Quantises to 4 bits: scale and shift, fp32 (N, G), and values from 0 to 15, int32 (N, K), with weight = value *
    scale + shift. Exact for weights that were quantised like this before and use both 0 and 15, as those of Q4_1 do."""
    grouped = weight_NK.float().unflatten(1, (-1, GROUP))
    low, high = grouped.amin(-1), grouped.amax(-1)
    scale = (high - low) / 15
    safe = scale.clamp(min=torch.finfo(torch.float32).tiny)
    numbers = ((grouped - low[..., None]) / safe[..., None]).round().clamp(0, 15)
    return scale, low, numbers.flatten(1).to(torch.int32)


class Matrix(NamedTuple):
    """A matrix (N, K) of weights. With 4 bits, there is a scale and a shift per group of 32; with 8 bits, a scale per
    row. `dense` holds the weights in bf16, for products with many rows, or fp32 if `bits` is 32. With 16 and 32 bits,
    there is only `dense`."""

    bits: int
    dense: Tensor
    packed: Tensor | None = None
    scales: Tensor | None = None


def pack(weight_NK: Tensor, bits: int, grid: tuple[Tensor, Tensor, Tensor] | None = None) -> Matrix:
    """Quantises a weight to `bits`. If the 4-bit kernel does not support its shape (rows a multiple of TILE, columns of
    GROUP), 8 bits are used. `grid` is the weight's quantisation if it has one already."""
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
        pairs = torch.stack([scale, shift + 8 * scale], -1).transpose(0, 1).contiguous()  # the kernel subtracts 8
        return Matrix(4, dense, packed, pairs.bfloat16())
    scale = weight_NK.float().abs().amax(1).clamp(min=1e-12) / 127
    return Matrix(8, dense, (weight_NK.float() / scale[:, None]).round().to(torch.int8), scale.bfloat16())


def product(x_MK: Tensor, matrix: Matrix) -> Tensor:
    """(M, N) product, with quantised weights for up to FEW rows and dense ones for more. `x_MK` must have the dtype of
    the dense weights."""
    bits, dense, packed, scales = matrix
    if packed is None or x_MK.shape[0] > FEW[bits]:
        return F.linear(x_MK, dense)
    if bits == 4:
        return torch.ops.aten._weight_int4pack_mm_for_cpu(x_MK, packed, GROUP, scales)
    return torch.ops.aten._weight_int8pack_mm(x_MK, packed, scales)
