"""Interpolation between two samples: noise in between that has the right distribution, and mixtures of two contexts.

Shapes: B frames, M tokens, D width, N sites.
"""

import torch
from torch import Tensor

from ..contracts import Context


def normal_between(first: Tensor, last: Tensor, share: float) -> Tensor:
    """Spherical linear interpolation of normal noise (Shoemake 1985)."""
    a, b = first.flatten(), last.flatten()
    angle = torch.arccos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))
    if angle < 1e-4:
        return first
    return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last) / torch.sin(angle)


def uniform_between(first: Tensor, last: Tensor, share: float) -> Tensor:
    """The same for uniform noise, which is mapped to normal noise by quantiles and back."""
    a, b = (torch.special.ndtri(noise.double().clamp(1e-9, 1 - 1e-9)) for noise in (first, last))
    return torch.special.ndtr(normal_between(a, b, share)).clamp(max=1 - 2**-24).to(first.dtype)


def contexts_between(first: Context, last: Context, share_B: Tensor) -> Context:
    """Interpolates linearly between two contexts, the k-th row at share_B[k]. Prepared prompts (`symbols_BM`) cannot be
    interpolated and are taken from the nearer context."""
    B = len(share_B)
    both, nearer = first.joined(last), torch.arange(B, device=share_B.device) + B * (share_B >= 0.5)

    def mix(t: Tensor | None) -> Tensor | None:
        return None if t is None else torch.stack([torch.lerp(t[k], t[B + k], share_B[k]) for k in range(B)])

    valid, labels = both.valid_BM, both.symbols_BM
    if valid is not None:  # at share 0 and 1, only one prompt's tokens are visible
        share_B1 = share_B[:, None]
        valid = valid[:B] & (share_B1 < 1) | valid[B:] & (share_B1 > 0)
    tokens, vector, aligned = mix(both.tokens_BMD), mix(both.vector_BD), mix(both.aligned_BND)
    return Context(tokens, valid, vector, aligned, None if labels is None else labels[nearer])
