"""Counts floating-point operations that torch executes: matrix products and convolutions only."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..contracts import Learner
from ..devices import device_in, mapped, moved
from .optimisers import enable

ROWS = 4  # of a batch that are run to count operations


def counted(work: Callable[[], Any]) -> int:
    """The operations of `work`, which runs uncompiled and with attention as plain products, since not all fused
    kernels are counted. The state of torch's random generator is preserved."""
    stance = torch.compiler.set_stance("force_eager")
    with torch.random.fork_rng(), stance, sdpa_kernel(SDPBackend.MATH), _Counter() as counter:
        work()
    return counter.total


class _Counter(TorchDispatchMode):
    """Sums torch's formulas over executed operations. torch's own FlopCounterMode also installs module hooks, which
    fail with second derivatives."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def of_steps(learner: Learner, batches: Sequence[dict[str, Any]]) -> int | None:
    """The operations of a training step of all players, mean over `batches`, with the backward pass and without the
    optimiser. Estimated from ROWS rows of each batch; None if they run out of memory. The learner is unchanged."""
    kept = [buffer.clone() for buffer in learner.buffers()]
    parameters = {player: learner.parameters_of(player) for player in learner.players}
    try:
        return round(sum(_of_step(learner, parameters, batch) for batch in batches) / len(batches))
    except RuntimeError:  # out of memory
        return None
    finally:
        enable(parameters, None)
        learner.zero_grad(set_to_none=True)
        learner.eval()
        for buffer, value in zip(learner.buffers(), kept, strict=True):
            buffer.copy_(value)


def _of_step(learner: Learner, parameters: dict[str, list[nn.Parameter]], batch: dict[str, Any]) -> float:
    rows = max(len(value) for value in batch.values() if isinstance(value, Tensor))
    few = moved(mapped(lambda tensor: tensor[:ROWS], batch), device_in(learner))

    def step() -> None:
        learner.train()
        for player in parameters:
            enable(parameters, player)
            learner(few, player, 0.5)[0].backward()

    return counted(step) * rows / min(rows, ROWS)
