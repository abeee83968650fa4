"""Real items that the model never saw, as its codec takes them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...parts import Context, Prompt
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


@torch.no_grad()
def context(audited: Audited, prompt: Prompt) -> Context:
    """What the model hears of a prompt."""
    conditioner = audited.model.conditioner
    told = conditioner.nothing(1).shape[1] > 0
    return conditioner(conditioner.prepare([prompt if told else None]).to(audited.model.device))
