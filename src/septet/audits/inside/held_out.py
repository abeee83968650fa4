"""Real items that the model never saw, as its codec takes them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...parts import Prompt
from ...space import Refusal
from ..audited import Audited


def items(audited: Audited, count: int) -> Iterator[tuple[Any, Prompt, Tensor]]:
    """Up to `count` held-out items (training ones where none are held out): datum, prompt, latents (1, N, ...)."""
    dataset, model = audited.dataset, audited.model
    for i in dataset.validation or dataset.training:
        datum = model.modality.finish(dataset.data[i])
        try:
            with torch.no_grad():
                latents = model.encode([datum])
        except Refusal:  # too long for the codec
            continue
        yield datum, dataset.prompts[i], latents.to(model.device)
        count -= 1
        if not count:
            return
