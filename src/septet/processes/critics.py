"""The second player of an adversarial training: relativistic losses, the gradient penalty, and the smallest pair of
generator and critic, for vectors and toys.

Shapes: B batch, N sites, C channels, Z noise numbers, D width of the context vector.
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
    """(B,) scores of latents, and the (B,) squared norm of their gradient by the latents, zero-centred (Mescheder et
    al. 2018). Attention runs in its plain form: the fused one has no second derivative."""
    latents = latents.detach().requires_grad_(True)
    with sdpa_kernel(SDPBackend.MATH):
        scores = critic(latents, context)
        (gradient,) = torch.autograd.grad(scores.sum(), latents, create_graph=True)
    return scores, gradient.float().square().flatten(1).sum(1)


def critic_loss(real_B: Tensor, drawn_B: Tensor) -> Tensor:
    """Relativistic pairing: the real one of a pair is to score above the drawn one."""
    return F.softplus(drawn_B - real_B).mean()  # Huang et al. 2024 (R3GAN), eq. 1; Jolicoeur-Martineau 2018


def generator_loss(real_B: Tensor, drawn_B: Tensor) -> Tensor:
    """The drawn one of a pair is to score above the real one."""
    return F.softplus(real_B - drawn_B).mean()  # Huang et al. 2024 (R3GAN), eq. 1


def _layers(entering: int, width: int, layers: int, last: nn.Linear) -> nn.Sequential:
    """Linear layers with leaky ReLUs between, without normalisation."""
    if layers < 1:
        raise Refusal(f"layers={layers}: expected at least 1")
    sizes = [entering] + [width] * layers
    inner = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
    return nn.Sequential(*inner, last)


def _with_vector(x_BF: Tensor, context: Context, vector_width: int) -> Tensor:
    if context.aligned_BND is not None:
        raise Refusal("content aligned with sites: layers without a grid cannot hear it; use Generative and Judge")
    if not vector_width:
        return x_BF
    if context.vector_BD is None:
        raise Refusal(f"vector_width={vector_width}: the conditioner gives no vector; use Attributes or 0")
    return torch.cat([x_BF, context.vector_BD.to(x_BF.dtype)], 1)


class MLPGenerator(Part, nn.Module):
    """Noise, and the context vector where `vector_width` is its width, to latents."""

    def __init__(self, space: Space, noise_size: int = 64, width: int = 128, layers: int = 2, vector_width: int = 0):
        super().__init__()
        if space.channels is None:
            raise Refusal(f"MLPGenerator: needs real channels, {space} holds symbols")
        self.space, self.vector_width = space, vector_width
        self.layers = _layers(noise_size + vector_width, width, layers, nn.Linear(width, space.sites * space.channels))

    @classmethod
    def tiny(cls) -> "MLPGenerator":
        return cls(Space((2,), channels=1), noise_size=4, width=16)

    def forward(self, noise_BZ: Tensor, context: Context) -> Tensor:
        latents = self.layers(_with_vector(noise_BZ, context, self.vector_width))
        return latents.view(len(noise_BZ), self.space.sites, -1)


class MLPCritic(Part, nn.Module):
    """Latents, and the context vector where `vector_width` is its width, to one score a sample."""

    def __init__(self, space: Space, width: int = 128, layers: int = 2, vector_width: int = 0):
        super().__init__()
        if space.channels is None:
            raise Refusal(f"MLPCritic: needs real channels, {space} holds symbols")
        self.space, self.vector_width = space, vector_width
        last = nn.Linear(width, 1, bias=False)  # what is added to all scores changes no pair
        self.layers = _layers(space.sites * space.channels + vector_width, width, layers, last)

    @classmethod
    def tiny(cls) -> "MLPCritic":
        return cls(Space((2,), channels=1), width=16)

    def forward(self, latents_BNC: Tensor, context: Context) -> Tensor:
        return self.layers(_with_vector(latents_BNC.flatten(1), context, self.vector_width))[:, 0]
