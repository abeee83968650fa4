"""Floating-point operations, counted by what torch executes: products of matrices and convolutions, nothing else."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from .parts import Learner


def counted(work: Callable[[], Any]) -> int:
    """What `work` takes; attention runs as plain products meanwhile, since fused kernels are not all counted, and
    nothing is compiled. No random number is used up."""
    stance = torch.compiler.set_stance("force_eager")
    with torch.random.fork_rng(), stance, sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def of_step(learner: Learner, batch: dict[str, Any]) -> int:
    """A training step of all players on one batch, backward included, the optimiser's own work left out."""
    device = next(learner.parameters()).device
    batch = {name: value.to(device) for name, value in batch.items()}

    def step() -> None:
        learner.train()
        for player in learner.players:
            learner(batch, player, 0.5)[0].backward()
        learner.zero_grad(set_to_none=True)
        learner.eval()

    return counted(step)
