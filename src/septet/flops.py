"""Floating-point operations, counted by what torch executes: products of matrices and convolutions, nothing else."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from .parts import Learner


def counted(work: Callable[[], Any]) -> int:
    """What `work` takes; attention runs as plain products meanwhile, since fused kernels are not all counted, and
    nothing is compiled. No random number is used up."""
    stance = torch.compiler.set_stance("force_eager")
    with torch.random.fork_rng(), stance, sdpa_kernel(SDPBackend.MATH), _Counter() as counter:
        work()
    return counter.total


class _Counter(TorchDispatchMode):
    """torch's own counter also follows modules, by hooks that gradients of gradients do not bear."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def of_step(learner: Learner, batch: dict[str, Any]) -> int:
    """A training step of all players on one batch, backward included, the optimiser's own work left out. The learner
    stays as it is."""
    device = next(learner.parameters()).device
    batch = {name: value.to(device) for name, value in batch.items()}

    kept = [buffer.clone() for buffer in learner.buffers()]

    def step() -> None:
        learner.train()
        for player in learner.players:
            learner(batch, player, 0.5)[0].backward()
        learner.zero_grad(set_to_none=True)
        learner.eval()

    count = counted(step)
    for buffer, value in zip(learner.buffers(), kept, strict=True):
        buffer.copy_(value)
    return count
