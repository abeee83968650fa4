"""Prompt dropout in training, for sampling without a prompt and for classifier-free guidance.

Shapes: B batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..contracts import Conditioner, Prepared


def dropped(prompts: Prepared, conditioner: Conditioner, share: float) -> Prepared:
    """Replaces a random share of the prompts by the empty prompt. In prompts with several parts, the same share of each
    part is dropped in addition."""
    if not share:
        return prompts
    silent = conditioner.nothing(1)
    if isinstance(prompts, Tensor) and isinstance(silent, Tensor):
        return _silenced(prompts, silent, torch.rand(len(prompts), 1) < share) if prompts.shape[1] else prompts
    assert isinstance(prompts, dict) and isinstance(silent, dict)
    whole_B1 = torch.rand(len(next(iter(prompts.values()))), 1) < share
    drop = {name: whole_B1 | (torch.rand(whole_B1.shape) < share) for name in prompts}
    return {name: _silenced(told, silent[name], drop[name]) for name, told in prompts.items()}


def _silenced(told: Tensor, silent: Tensor, drop_B1: Tensor) -> Tensor:
    """Prepared prompts `told`, replaced by the empty prompt `silent` where `drop_B1` is true."""
    drop = drop_B1.view(-1, *[1] * (told.dim() - 1)).to(told.device)
    pad = [0, 0] * (told.dim() - 2) + [0, told.shape[1] - silent.shape[1]]
    return torch.where(drop, F.pad(silent.to(told.device), pad), told)
