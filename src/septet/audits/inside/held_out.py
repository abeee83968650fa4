"""Held-out items that the codec accepts, as examples for sections about internals."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...contracts import Prompt
from ...space import Refusal
from ..audited import Audited


def items(audited: Audited, count: int) -> Iterator[tuple[Any, Prompt, Tensor]]:
    """Yields up to `count` held-out items as (datum, prompt, latents (1, N, ...)); training items if none are held out,
    and generated ones if there are no data."""
    dataset, model = audited.dataset, audited.model
    index = dataset.validation or dataset.training
    real = ((model.modality.postprocess(dataset.data[i]), dataset.prompts[i]) for i in index)
    for datum, prompt in real if index else [(o.datum, o.prompt) for o in audited.outputs]:
        try:
            with torch.no_grad():
                latents = model.encode([datum])
        except Refusal:  # too long for the codec
            continue
        yield datum, prompt, latents.to(model.device)
        count -= 1
        if not count:
            return
