"""Where a model computes: a GPU where there is one, else the processor."""

import torch

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
