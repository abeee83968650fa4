"""Muon for hidden matrices and AdamW for other parameters; weight averages; learning rate schedules; which player
trains."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..contracts import Backbone


def hidden_matrices(learner: nn.Module) -> set[Tensor]:
    """The weights of linear layers inside backbones, to be trained with Muon."""
    inside = (layer for part in learner.modules() if isinstance(part, Backbone) for layer in part.modules())
    return {layer.weight for layer in inside if isinstance(layer, nn.Linear)}


def orthogonalised(x: Tensor) -> Tensor:
    """Moves all singular values of (…, rows, columns) close to 1 by five Newton-Schulz steps (Jordan et al. 2024)."""
    wide = x.bfloat16()
    flip = wide.shape[-2] > wide.shape[-1]
    wide = wide.mT if flip else wide
    wide = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = wide @ wide.mT
        wide = 3.4445 * wide + (-4.7750 * a + 2.0315 * a @ a) @ wide
    return (wide.mT if flip else wide).to(x.dtype)


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) on `matrices`, AdamW (Loshchilov & Hutter 2019) on the other parameters.

    `rate` is Muon's learning rate; AdamW's is `rate * share`. A schedule sets `scale` of every group, which multiplies
    both.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        matrices: set[Tensor],
        rate: float = 0.02,
        share: float = 0.25,
        decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
    ):
        parameters = list(parameters)
        by_shape: dict[torch.Size, list[nn.Parameter]] = {}
        for p in parameters:
            if p in matrices:
                by_shape.setdefault(p.shape, []).append(p)
        groups = [{"params": alike, "matrix": True} for alike in by_shape.values()]
        rest = [p for p in parameters if p not in matrices]
        groups += [{"params": rest, "matrix": False}] if rest else []
        shared = {"rate": rate, "share": share, "decay": decay, "momentum": momentum, "betas": betas, "scale": 1.0}
        super().__init__(groups, shared)

    @torch.no_grad()
    def step(self, closure=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            (self._muon if group["matrix"] else self._adamw)(group)

    def _muon(self, group: dict) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        rate, momentum = group["rate"] * group["scale"], group["momentum"]
        gradients = [p.grad for p in parameters]
        averages = [self.state[p].setdefault("average", torch.zeros_like(p)) for p in parameters]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        updates = torch.stack(torch._foreach_lerp(gradients, averages, momentum))  # Nesterov
        rows, columns = parameters[0].shape
        updates = orthogonalised(updates) * max(1.0, rows / columns) ** 0.5
        torch._foreach_mul_(parameters, 1 - rate * group["decay"])
        torch._foreach_add_(parameters, list(updates.unbind()), alpha=-rate)

    def _adamw(self, group: dict) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        rate, (beta1, beta2) = group["rate"] * group["share"] * group["scale"], group["betas"]
        gradients = [p.grad for p in parameters]
        firsts = [self.state[p].setdefault("first", torch.zeros_like(p)) for p in parameters]
        seconds = [self.state[p].setdefault("second", torch.zeros_like(p)) for p in parameters]
        group["count"] = count = group.get("count", 0) + 1
        torch._foreach_lerp_(firsts, gradients, 1 - beta1)
        torch._foreach_mul_(seconds, beta2)
        torch._foreach_addcmul_(seconds, gradients, gradients, 1 - beta2)
        scales = torch._foreach_div(seconds, 1 - beta2**count)
        torch._foreach_sqrt_(scales)
        torch._foreach_add_(scales, 1e-10)
        torch._foreach_mul_(parameters, 1 - rate * group["decay"])
        torch._foreach_addcdiv_(parameters, firsts, scales, value=-rate / (1 - beta1**count))


class Averages:
    """Exponential moving averages of parameters, with decay min(decay, (1 + n) / (10 + n)) at update n."""

    def __init__(self, parameters: list[nn.Parameter], decay: float):
        self.parameters, self.decay, self.count = parameters, decay, 0
        self.values = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self) -> None:
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Swaps the averages with the parameters; a second call undoes the first."""
        for value, parameter in zip(self.values, self.parameters, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(kept)


def scale_at(progress: float, warmup: float, decay: float) -> float:
    """The factor of the learning rate: linear warmup over the first `warmup` of the run (a fraction), constant, then
    linear decay to zero over the last `decay` of it."""
    return max(0.0, min(1.0, (progress + 1e-3) / max(warmup, 1e-3), (1 - progress) / max(decay, 1e-3)))


def enable(parameters: dict[str, list[nn.Parameter]], player: str | None) -> None:
    """Sets requires_grad on the parameters of one player only, or of all players if `player` is None."""
    for other, mine in parameters.items():
        for p in mine:
            p.requires_grad_(player is None or other == player)
