"""Flow matching (diffusion): transports noise (t = 1) to data (t = 0) along straight lines.

Shapes: B batch, N sites, C channels, D width, K = 2 noise levels per sample: of the unknown sites, and 0 of the known.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Backbone, Context, Places, Process, State
from ..space import Known, Refusal, Space
from .guidance import Guidance, doubled, guided, repeated
from .regions import random_regions
from .settings import checked_strength
from .streams import normal


class Flow(Process):
    """Rectified flow (Lipman et al. 2023; Liu et al. 2023).

    `predict`: whether the network predicts clean data ("data", Li & He 2025) or the velocity ("velocity"). Noise levels
    in training are sampled as sigmoid(normal(level_mean, level_deviation)) (Esser et al. 2024). `fill` is the share of
    training rows in which a region is given; given sites have noise level 0 and are excluded from the loss. `deviation`
    is the standard deviation of the data, by which the noise is scaled, too.
    """

    CLOSEST = 0.05  # lower bound on the noise level in the weight of the loss (Li & He 2025)

    def __init__(
        self,
        space: Space,
        backbone: Backbone,
        predict: str = "data",
        level_mean: float = 0.0,
        level_deviation: float = 1.0,
        fill: float = 0.0,
        deviation: float = 1.0,
    ):
        super().__init__()
        if space.channels is None:
            raise Refusal(f"Flow: needs real channels, {space} holds symbols; use an autoregressive or masked process")
        if predict not in ("data", "velocity"):
            raise Refusal(f"predict={predict!r}: expected 'data' or 'velocity'")
        self.space, self.backbone, self.predict, self.fill = space, backbone, predict, fill
        self.level_mean, self.level_deviation, self.deviation = level_mean, level_deviation, deviation
        self.supports = frozenset({"mask"}) if fill else frozenset()
        self.enter = nn.Linear(space.channels, backbone.width)
        self.mark = nn.Parameter(torch.zeros(backbone.width))  # added to known sites
        self.leave = nn.Linear(backbone.width, space.channels)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    @classmethod
    def tiny(cls) -> "Flow":
        from ..backbones.transformer import Transformer

        return cls(Space((4, 4), channels=3), Transformer(width=32, layers=2, heads=2, modulated=True), fill=0.5)

    def answer(self, x_BNC: Tensor, level_B: Tensor, where_BN: Tensor | None, context: Context) -> Tensor:
        """The network's prediction of the clean data."""
        x = self.enter(x_BNC / self.deviation)
        if where_BN is not None:
            x = x + where_BN[..., None] * self.mark
            levels = (torch.stack([level_B, torch.zeros_like(level_B)], 1), where_BN.long())
        else:
            levels = (level_B[:, None], None)
        places = Places(self.space.coordinates().to(x.device))
        y = self.leave(self.backbone(x, places, context, levels)).float() * self.deviation
        return y if self.predict == "data" else x_BNC - level_B[:, None, None] * y

    def loss(self, latents: Tensor, context: Context, player: str, progress: float):
        normals = torch.randn(len(latents)) * self.level_deviation + self.level_mean
        level = torch.sigmoid(normals).to(latents.device)
        where = None
        if self.fill and self.training:
            where = random_regions(self.space, len(latents)) & (torch.rand(len(latents), 1) < self.fill)
            where = where.to(latents.device)
        return self._error(latents, level, torch.randn(latents.shape).to(latents.device), where, context), {}

    def _error(self, data: Tensor, level: Tensor, noise: Tensor, where: Tensor | None, context: Context) -> Tensor:
        t = level[:, None, None]
        x = (1 - t) * data + t * noise * self.deviation
        x = x if where is None else torch.where(where[..., None], data, x)
        guess = self.answer(x, level, where, context)
        # || v_guess - v ||^2 with v = (x_t - x) / t, Li & He 2025; in units of the data's deviation
        error = ((guess - data) / (t.clamp(min=self.CLOSEST) * self.deviation)).square().mean(-1)
        if where is None:
            return error.mean()
        unknown = (~where).to(error.dtype)
        return ((error * unknown).sum(1) / unknown.sum(1)).mean()

    def validation(self, latents: Tensor, context: Context) -> dict[str, Tensor]:
        shares = (torch.arange(len(latents)) + 0.5) / len(latents)  # as in training: low levels have large weights
        level = torch.sigmoid(torch.special.ndtri(shares) * self.level_deviation + self.level_mean)
        level = level[torch.randperm(len(latents))].to(latents.device)
        loss = self._error(latents, level, torch.randn(latents.shape).to(latents.device), None, context)
        return {"loss": loss, "weight": torch.tensor(float(len(latents)))}

    def varied(self, latents: Tensor, strength: float) -> dict[str, Any]:
        return {"near": latents, "strength": strength}

    def noise(self, seeds: Sequence[int]) -> Tensor:
        assert self.space.channels is not None
        return normal(seeds, (self.space.sites, self.space.channels))

    @torch.no_grad()
    def draws(
        self,
        noise: Tensor,
        context: Context,
        known: Known | None = None,
        guidance: Guidance | None = None,
        steps: int = 20,
        solver: str = "heun",
        shift: float = 1.0,
        near: Tensor | None = None,
        strength: float = 1.0,
    ) -> Iterator[State]:
        """`shift` > 1 spends more steps at high noise levels, t' = s t / (1 + (s - 1) t) (Esser et al. 2024, eq. 23).
        With `near`, latents to vary, sampling starts from them with noise of level `strength` (SDEdit, Meng et al.
        2022)."""
        self.check_known(known)
        if solver not in ("euler", "heun"):
            raise Refusal(f"solver={solver!r}: expected 'euler' or 'heun'")
        if not 1 <= steps <= 1000:
            raise Refusal(f"steps={steps}: a flow takes 1 to 1000 steps")
        checked_strength(strength)
        device = self.enter.weight.device
        grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        grid = (shift * grid / (1 + (shift - 1) * grid) * (strength if near is not None else 1)).tolist()
        x = noise.to(device) * self.deviation
        x = x if near is None else (1 - grid[0]) * near.to(device) + grid[0] * x
        where = None if known is None or known.where_BN is None else known.where_BN.to(device)
        values = None if known is None or known.values is None else known.values.to(device)
        both = doubled(guidance, context)

        def guess_at(x: Tensor, t: float) -> Tensor:
            level = torch.full((len(x),), t, device=device)
            shown = None if where is None else repeated(guidance, where)
            answer = self.answer(repeated(guidance, x), repeated(guidance, level), shown, both)
            return guided(guidance, answer, t)

        for step in range(steps):
            t, s = grid[step], grid[step + 1]
            x = x if where is None or values is None else torch.where(where[..., None], values, x)
            guess = guess_at(x, t)
            velocity = (x - guess) / t
            ahead = x + (s - t) * velocity
            if solver == "heun" and s > 0:  # Heun's second-order step, Karras et al. 2022, algorithm 1
                ahead = ahead if where is None or values is None else torch.where(where[..., None], values, ahead)
                velocity = (velocity + (ahead - guess_at(ahead, s)) / s) / 2
                ahead = x + (s - t) * velocity
            x = ahead if where is None or values is None else torch.where(where[..., None], values, ahead)
            yield State(step, steps, x, guess)
