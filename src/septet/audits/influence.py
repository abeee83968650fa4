"""Training data attribution: which training items influenced an output, estimated from gradients.

Shapes: n training items, P dimensions of projected gradients.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contracts import Prompt
from ..generator import Generator
from ..space import Refusal
from .losses import item_loss

NUMBERS = 2048  # dimensions of projected gradients
LOOKS = 4  # noise samples over which a gradient is averaged
DAMPING = 1.0  # relative to the mean square of the projected gradients
LONG = 8  # longer texts, in characters per token of context, do not fit the model's context
MOST = 5000  # most training items


class Influence:
    """Attribution scores by TRAK (Park et al. 2023, eq. 15, with one model and no weighting): the projected gradient of
    an output's loss, times the inverse of the training gradients' second moment matrix, times each training
    gradient."""

    def __init__(self, model: Generator, data: Sequence[Any], prompts: Sequence[Prompt], numbers: int = NUMBERS):
        self.model, self.parameters = model, [p for p in model.process.parameters() if p.requires_grad]
        if not self.parameters:
            raise Refusal(f"{type(model.process).__name__} is not trained by gradients, which influence needs")
        longest = getattr(model.codec, "length", None)
        if isinstance(next(iter(data), None), str) and longest and max(map(len, data)) > LONG * longest:
            raise Refusal(
                f"texts of up to {max(map(len, data)):,} characters exceed the model's context of {longest} tokens: "
                "influence needs whole items; leave --influence out"
            )
        if not len(data) >= 2:
            raise Refusal(f"{len(data)} training items that the model takes: influence needs at least 2")
        if len(data) > MOST:
            raise Refusal(f"{len(data):,} training items: influence supports at most {MOST:,}; leave --influence out")
        stream = np.random.Generator(np.random.Philox(0))
        sizes = [p.numel() for p in self.parameters]
        self.numbers = min(numbers, sum(sizes))
        # Count sketch (Charikar et al. 2002): each parameter is added to one dimension, with a random sign.
        self.place = [torch.from_numpy(stream.integers(self.numbers, size=size)) for size in sizes]
        self.sign = [torch.from_numpy(stream.choice(np.array([-1, 1], np.float32), size=size)) for size in sizes]
        self.training_nP = torch.stack([self.gradient(*pair) for pair in zip(data, prompts, strict=True)])
        moment = self.training_nP.T @ self.training_nP / len(self.training_nP)
        damping = DAMPING * moment.diagonal().mean().clamp(min=1e-12)
        self.inverse_PP = torch.linalg.inv(moment + damping * torch.eye(self.numbers))

    def scores(self, datum: Any, prompt: Prompt) -> Tensor:
        """(n,) scores: how much training on each item lowers the loss of an output; negative if it raises the loss."""
        return self.training_nP @ (self.inverse_PP @ self.gradient(datum, prompt))

    def gradient(self, datum: Any, prompt: Prompt) -> Tensor:
        """(P,) the projected gradient of an item's loss."""
        figures, total = item_loss(self.model, datum, prompt, LOOKS), torch.zeros(self.numbers)
        found = torch.autograd.grad(figures["loss"], self.parameters, allow_unused=True)
        for part, place, sign in zip(found, self.place, self.sign, strict=True):
            if part is not None:
                total.index_add_(0, place, part.detach().flatten().float().cpu() * sign)
        return total
