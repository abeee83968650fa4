"""Generative adversarial network (GAN): a generator maps noise to latents in one step, trained against a critic that
learns to distinguish them from real latents.

Shapes: B batch, N sites, C channels, Z noise dimension.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..contracts import Context, Process, State
from ..part import Part
from ..space import Known, Refusal, Space
from .critics import MLPCritic, MLPGenerator, critic_loss, generator_loss, scores_and_penalty
from .streams import normal


class Adversarial(Process):
    """Relativistic pairing loss with zero-centred gradient penalties on real and generated latents (R3GAN, Huang et al.
    2024). `generator` maps (noise_BZ, context) to latents, `critic` maps (latents, context) to (B,) scores. `r1` and
    `r2` are the weights of the penalties on real and generated latents; during training, both decay exponentially to
    `anneal` times their initial values."""

    players = ("critic", "generator")
    averaged = ("generator",)

    def __init__(
        self,
        space: Space,
        generator: Part,
        critic: Part,
        noise_size: int = 64,
        r1: float = 0.1,
        r2: float = 0.1,
        anneal: float = 1.0,
    ):
        super().__init__()
        if space.channels is None:
            raise Refusal(f"Adversarial: needs real channels, but {space} holds symbols; use another process")
        if min(r1, r2) < 0 or not 0 < anneal <= 1:
            raise Refusal(f"r1={r1}, r2={r2}, anneal={anneal}: expected penalties of at least 0, anneal above 0 to 1")
        if not isinstance(generator, nn.Module) or not isinstance(critic, nn.Module):
            raise Refusal(f"Adversarial: {type(generator).__name__} and {type(critic).__name__} must both be modules")
        self.space, self.noise_size, self.r1, self.r2, self.anneal = space, noise_size, r1, r2, anneal
        self.generator, self.critic = generator, critic

    @classmethod
    def tiny(cls) -> "Adversarial":
        space = Space((2,), channels=1)
        return cls(space, MLPGenerator.tiny(), MLPCritic.tiny(), noise_size=4)

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        if player not in self.players:
            raise Refusal(f"player {player!r}: expected one of {', '.join(self.players)}")
        module = self.critic if player == "critic" else self.generator
        return [p for p in module.parameters() if p.requires_grad]

    def loss(self, latents: Tensor, context: Context, player: str, progress: float):
        noise = torch.randn(len(latents), self.noise_size).to(latents.device)
        if player == "generator":
            drawn = self.critic(self.generator(noise, context), context)
            return generator_loss(self.critic(latents, context), drawn), {}
        with torch.no_grad():
            drawn_latents = self.generator(noise, context).to(latents.dtype)
        real, real_penalty = scores_and_penalty(self.critic, latents, context)
        drawn, drawn_penalty = scores_and_penalty(self.critic, drawn_latents, context)
        # Huang et al. 2024, eq. 2: gamma / 2 times each penalty
        penalty = self.anneal**progress * (self.r1 * real_penalty + self.r2 * drawn_penalty).mean() / 2
        figures = {"penalty": penalty, "margin": (real - drawn).mean()}
        return critic_loss(real, drawn) + penalty, figures

    def validation(self, latents: Tensor, context: Context) -> None:
        """None: the losses of a GAN do not measure the quality of samples."""

    def noise(self, seeds: Sequence[int]) -> Tensor:
        return normal(seeds, (self.noise_size,))

    @torch.no_grad()
    def draws(self, noise: Tensor, context: Context, known: Known | None = None) -> Iterator[State]:
        self.check_known(known)
        latents = self.generator(noise.to(next(self.generator.parameters()).device), context).float()
        yield State(0, 1, latents, latents)
