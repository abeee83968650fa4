"""Why a training cannot go on: a loss or a gradient that is not finite, and whether the rate is to blame."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def reason(what: str, step: int, rate: float, compiled: bool, learner: nn.Module, loss: Callable[[], Tensor]) -> str:
    """A sentence on `what` happened at `step`. `loss` computes that of the same batch in fp32."""
    if _finite(learner, loss):
        way = "TORCH_COMPILE_DISABLE=1" if compiled else "ATEN_CPU_CAPABILITY=avx2"
        return (
            f"step {step}: {what}, but is finite in fp32 and uncompiled: this processor's bf16 or compiled code is to "
            f"blame, not the rate; train again with {way} in the environment"
        )
    if step == 0:
        return f"step 0: {what} before any update, so the rate is not to blame; look for data that are not finite"
    return f"step {step}: {what}; train again with a lower rate (rate={rate / 2:g})"


def _finite(learner: nn.Module, loss: Callable[[], Tensor]) -> bool:
    """Whether the loss and its gradients are finite, computed uncompiled."""
    learner.zero_grad(set_to_none=True)
    with torch.compiler.set_stance("force_eager"):
        total = loss()
        total.backward()
    gradients = [p.grad for p in learner.parameters() if p.grad is not None]
    return bool(total.isfinite()) and all(bool(gradient.isfinite().all()) for gradient in gradients)
