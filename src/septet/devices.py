"""The device and precision that a model computes with: a GPU if there is one, else the CPU."""

import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from . import ranks
from .space import Refusal

WORTH = 1.25  # bf16 pays off up to this ratio of matrix product times, since all other operations are faster in bf16
REPEATS = 10  # of the measurement


def device_of(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" is a GPU if there is one (each rank its own), else the CPU. Raises Refusal if it
    is unavailable."""
    if ranks.world() > 1 and name not in ("auto", "cpu"):
        raise Refusal(f"device {name!r}: each of {ranks.world()} ranks uses a GPU of its own; expected auto or cpu")
    if name == "auto" and torch.cuda.is_available():
        if ranks.world() > torch.cuda.device_count():
            raise Refusal(f"{ranks.world()} ranks and {torch.cuda.device_count()} GPUs: start fewer, or --device cpu")
        return torch.device("cuda", ranks.rank()) if ranks.world() > 1 else torch.device("cuda")
    if name == "auto":
        return torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise Refusal(f"device {name!r} is not available: expected auto, cpu, or a GPU such as cuda:0") from error
    return device


def device_in(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def precise(module: nn.Module, precision: str):
    """A context manager for bf16 autocast, or for fp32, on the device of the module."""
    device = device_in(module)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision_on(device, precision) == "bf16")


def precision_on(device: torch.device, precision: str) -> str:
    """Either "bf16" or "fp32"; for "auto", the one in which a training step is faster on `device`."""
    if precision != "auto":
        return precision
    return "bf16" if device.type != "cpu" or ranks.agreed(_product_ratio()) < WORTH else "fp32"


@functools.cache
def _product_ratio() -> float:
    """Time of a bf16 matrix product relative to fp32 on this CPU: 1.8 to 2.0 on a Xeon without AMX. Measured as thread
    time on one thread, so that other load on the machine does not change the result."""
    threads, times = torch.get_num_threads(), dict.fromkeys((torch.float32, torch.bfloat16), float("inf"))
    torch.set_num_threads(1)
    try:
        rows, weights = torch.ones(512, 256), torch.ones(256, 768)
        for kind in [*times] * REPEATS:
            ready, began = weights.to(kind), time.thread_time()
            torch.mm(rows.to(kind), ready)
            times[kind] = min(times[kind], time.thread_time() - began)
    finally:
        torch.set_num_threads(threads)
    return times[torch.bfloat16] / times[torch.float32]


def moved(batch: Any, device: torch.device) -> Any:
    return mapped(lambda tensor: tensor.to(device), batch)


def mapped(change: Callable[[Tensor], Tensor], batch: Any) -> Any:
    """Applies `change` to each tensor of a batch, including those in nested dicts."""
    if isinstance(batch, dict):
        return {name: mapped(change, value) for name, value in batch.items()}
    return change(batch) if isinstance(batch, Tensor) else batch
