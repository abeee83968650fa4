"""What lies between two draws: noise as likely as any other, and the context of two prompts mixed.

Shapes: B frames, M tokens, D width, N sites.
"""

import torch
from torch import Tensor

from ..contracts import Context


def normal_between(first: Tensor, last: Tensor, share: float) -> Tensor:
    """The point at `share` of the great circle between two normal noises (Shoemake 1985)."""
    a, b = first.flatten(), last.flatten()
    angle = torch.arccos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))
    if angle < 1e-4:
        return first
    return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last) / torch.sin(angle)


def uniform_between(first: Tensor, last: Tensor, share: float) -> Tensor:
    """The same between uniform noises, by way of the normal numbers that are as likely to be exceeded."""
    a, b = (torch.special.ndtri(noise.double().clamp(1e-9, 1 - 1e-9)) for noise in (first, last))
    return torch.special.ndtr(normal_between(a, b, share)).clamp(max=1 - 2**-24).to(first.dtype)


def contexts_between(first: Context, last: Context, share_B: Tensor) -> Context:
    """The contexts between two, the k-th at share_B[k]; labels, which nothing lies between, are those of the nearer."""
    B = len(share_B)
    both, nearer = first.joined(last), torch.arange(B, device=share_B.device) + B * (share_B >= 0.5)

    def mix(t: Tensor | None) -> Tensor | None:
        return None if t is None else torch.stack([torch.lerp(t[k], t[B + k], share_B[k]) for k in range(B)])

    valid, labels = both.valid_BM, both.symbols_BM
    if valid is not None:  # at its ends only one prompt is heard
        share_B1 = share_B[:, None]
        valid = valid[:B] & (share_B1 < 1) | valid[B:] & (share_B1 > 0)
    tokens, vector, aligned = mix(both.tokens_BMD), mix(both.vector_BD), mix(both.aligned_BND)
    return Context(tokens, valid, vector, aligned, None if labels is None else labels[nearer])
