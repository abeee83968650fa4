"""Learners whose updates can be followed by hand, and their data.

Shapes: B batch, N features.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from septet.contracts import Learner
from septet.fitting import Settings, Step, fit
from septet.fitting.pace import Pace

PLAIN = Settings(rate=0.05, optimiser="adamw", precision="fp32", warmup=0, decay=0, clip=None, weight_decay=0)


class Numbers:
    """Batches (B, N) that depend on the step alone."""

    def __init__(self, size: int = 8, held_out: bool = True):
        self.size, self.held_out = size, held_out
        self.rows = torch.randn(4096, 3, generator=torch.Generator().manual_seed(1)) + 1

    def at(self, step: int) -> dict[str, Any]:
        return {"x": self.rows[step * self.size : (step + 1) * self.size]}

    def validation(self) -> Iterable[dict[str, Any]]:
        return [{"x": self.rows[-8:]}] if self.held_out else []


class Line(Learner):
    """One player: a line through the data, with a loss in which nothing is random."""

    def __init__(self, noisy: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.noisy = nn.Linear(3, 3), noisy
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)

    def forward(self, batch: dict[str, Tensor], player: str, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        x = batch["x"]
        x = x + torch.randn(x.shape) if self.noisy else x
        return (self.layer(x) * self.frozen - x.flip(1)).square().mean(), {}


class Duel(Learner):
    """Two players, each with a part of its own and one that it alone uses now and then."""

    players, averaged = ("critic", "maker"), ("maker",)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.critic, self.maker = nn.Linear(3, 1), nn.Linear(3, 3)
        self.seldom = nn.Parameter(torch.ones(3))
        self.seen: list[tuple[str, bool, bool]] = []
        self.weights: list[tuple[str, Tensor, Tensor]] = []

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        return [*self.critic.parameters(), self.seldom] if player == "critic" else list(self.maker.parameters())

    def forward(self, batch: dict[str, Tensor], player: str, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        self.seen.append((player, self.critic.weight.requires_grad, self.maker.weight.requires_grad))
        self.weights.append((player, self.critic.weight.detach().clone(), self.maker.weight.detach().clone()))
        others = self.maker.parameters() if player == "critic" else self.critic.parameters()
        assert all(p.grad is None for p in others)
        drawn, real = self.critic(self.maker(batch["x"])), self.critic(batch["x"])
        real = real * self.seldom.sum() if progress > 0.5 else real
        total = nn.functional.softplus(drawn - real if player == "critic" else real - drawn).mean()
        return total, {"gap": (real - drawn).mean()}

    def validation(self, batch: dict[str, Any]) -> None:
        return None


def trained(learner: Learner, settings: Settings, steps: int, batches: Numbers | None = None) -> list[Step]:
    return list(fit(learner, batches or Numbers(), settings, Pace(steps=steps)))
