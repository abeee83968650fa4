"""Where a model computes: a GPU where there is one, else the processor."""

from typing import Any

import torch
from torch import Tensor, nn

from .space import Refusal


def device_of(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes a GPU where there is one. A device that is not there is a Refusal."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise Refusal(f"device {name!r} is not here: expected auto, cpu, or a GPU such as cuda:0") from error
    return device


def device_in(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def precise(module: nn.Module, precision: str):
    """bf16 autocast, or plain fp32, on the device of the module."""
    return torch.autocast(device_in(module).type, torch.bfloat16, enabled=precision == "bf16")


def moved(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
