"""The loss of one item, averaged over the noises that it depends on."""

from typing import Any

import torch
from torch import Tensor

from ..generator import Generator
from ..parts import Prompt
from ..space import Refusal


def item_loss(model: Generator, datum: Any, prompt: Prompt, looks: int) -> dict[str, Tensor]:
    """As Process.validation, of one item; with gradients where they are asked for. Where noise matters, `looks` copies
    in one batch see noise levels and masks spread over all there are, the same for every item."""
    told = model.conditioner.nothing(1).shape[1] > 0
    with torch.no_grad():
        latents = model.encode([datum]).to(model.device)
        heard = model.conditioner(model.conditioner.prepare([prompt if told else None]).to(model.device))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        figures = model.eval().process.validation(latents.expand(looks, *latents.shape[1:]), heard.rows([0] * looks))
    if figures is None:
        raise Refusal(f"{type(model.process).__name__} has no loss of an item")
    return {"loss": figures["loss"], "weight": figures["weight"] / looks}
