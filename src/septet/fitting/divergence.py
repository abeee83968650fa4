"""Diagnoses a training run that diverged: whether the learning rate, the data or low-precision code is the cause."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .. import ranks


def reason(what: str, step: int, rate: float, compiled: bool, learner: nn.Module, loss: Callable[[], Tensor]) -> str:
    """An error message for `what` happened at `step`. `loss` computes the loss of the same batch in fp32."""
    if ranks.every(_finite(learner, loss)):
        way = "TORCH_COMPILE_DISABLE=1" if compiled else "ATEN_CPU_CAPABILITY=avx2"
        return (
            f"step {step}: {what}, but is finite in fp32 and uncompiled, so the cause is bf16 or compiled code on this "
            f"processor, not the learning rate; train again with {way} in the environment"
        )
    if step == 0:
        return f"step 0: {what} before any update, so the learning rate is not the cause; check the data for NaN"
    return f"step {step}: {what}; train again with a lower learning rate (rate={rate / 2:g})"


def _finite(learner: nn.Module, loss: Callable[[], Tensor]) -> bool:
    """Whether the loss and its gradients are finite when computed without compilation."""
    learner.zero_grad(set_to_none=True)
    with torch.compiler.set_stance("force_eager"):
        total = loss()
        total.backward()
    gradients = [p.grad for p in learner.parameters() if p.grad is not None]
    return bool(total.isfinite()) and all(bool(gradient.isfinite().all()) for gradient in gradients)
