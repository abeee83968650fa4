"""Losses for adversarial training: relativistic losses and the gradient penalty; and a minimal pair of generator and
critic, for vectors and tests.

Shapes: B batch, N sites, C channels, Z noise dimension, D width of the context vector.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..contracts import Context
from ..part import Part
from ..space import Refusal, Space


def scores_and_penalty(critic: nn.Module, latents: Tensor, context: Context) -> tuple[Tensor, Tensor]:
    """(B,) scores of latents and the zero-centred gradient penalty, (B,) squared norms of the scores' gradients with
    respect to the latents (Mescheder et al. 2018). Uses unfused attention, since the fused kernels have no second
    derivative."""
    latents = latents.detach().requires_grad_(True)
    with sdpa_kernel(SDPBackend.MATH):
        scores = critic(latents, context)
        (gradient,) = torch.autograd.grad(scores.sum(), latents, create_graph=True)
    return scores, gradient.float().square().flatten(1).sum(1)


def critic_loss(real_B: Tensor, drawn_B: Tensor) -> Tensor:
    """Relativistic pairing loss of the critic: low if real latents score higher than the generated ones they are paired
    with."""
    return F.softplus(drawn_B - real_B).mean()  # Huang et al. 2024 (R3GAN), eq. 1; Jolicoeur-Martineau 2018


def generator_loss(real_B: Tensor, drawn_B: Tensor) -> Tensor:
    """Relativistic pairing loss of the generator: low if generated latents score higher than real ones."""
    return F.softplus(real_B - drawn_B).mean()  # Huang et al. 2024 (R3GAN), eq. 1


def _layers(entering: int, width: int, layers: int, last: nn.Linear) -> nn.Sequential:
    """Linear layers with leaky ReLUs in between, without normalisation."""
    if layers < 1:
        raise Refusal(f"layers={layers}: expected at least 1")
    sizes = [entering] + [width] * layers
    inner = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
    return nn.Sequential(*inner, last)


def _with_vector(x_BF: Tensor, context: Context, vector_width: int) -> Tensor:
    if context.aligned_BND is not None:
        raise Refusal("content aligned with sites: not supported by layers without a grid; use Generative and Judge")
    if not vector_width:
        return x_BF
    if context.vector_BD is None:
        raise Refusal(f"vector_width={vector_width}: the conditioner returns no vector; use Attributes, or 0")
    return torch.cat([x_BF, context.vector_BD.to(x_BF.dtype)], 1)


class MLPGenerator(Part, nn.Module):
    """Maps noise, and a context vector of width `vector_width` unless that is 0, to latents."""

    def __init__(self, space: Space, noise_size: int = 64, width: int = 128, layers: int = 2, vector_width: int = 0):
        super().__init__()
        if space.channels is None:
            raise Refusal(f"MLPGenerator: needs real channels, but {space} holds symbols")
        self.space, self.vector_width = space, vector_width
        self.layers = _layers(noise_size + vector_width, width, layers, nn.Linear(width, space.sites * space.channels))

    @classmethod
    def tiny(cls) -> "MLPGenerator":
        return cls(Space((2,), channels=1), noise_size=4, width=16)

    def forward(self, noise_BZ: Tensor, context: Context) -> Tensor:
        latents = self.layers(_with_vector(noise_BZ, context, self.vector_width))
        return latents.view(len(noise_BZ), self.space.sites, -1)


class MLPCritic(Part, nn.Module):
    """Maps latents, and a context vector of width `vector_width` unless that is 0, to one score per sample."""

    def __init__(self, space: Space, width: int = 128, layers: int = 2, vector_width: int = 0):
        super().__init__()
        if space.channels is None:
            raise Refusal(f"MLPCritic: needs real channels, but {space} holds symbols")
        self.space, self.vector_width = space, vector_width
        last = nn.Linear(width, 1, bias=False)  # a bias would cancel in the loss
        self.layers = _layers(space.sites * space.channels + vector_width, width, layers, last)

    @classmethod
    def tiny(cls) -> "MLPCritic":
        return cls(Space((2,), channels=1), width=16)

    def forward(self, latents_BNC: Tensor, context: Context) -> Tensor:
        return self.layers(_with_vector(latents_BNC.flatten(1), context, self.vector_width))[:, 0]
