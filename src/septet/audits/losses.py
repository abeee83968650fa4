"""What a model hears of prompts, and its loss of one item, averaged over the noises that it depends on."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..contracts import Context, Prompt
from ..devices import moved
from ..generator import Generator
from ..space import Refusal


@torch.no_grad()
def hear(model: Generator, prompts: Sequence[Prompt]) -> Context:
    """What the model hears of prompts, a row each."""
    conditioner = model.conditioner
    return conditioner(moved(conditioner.prepare(conditioner.heard(prompts)), model.device))


def item_loss(model: Generator, datum: Any, prompt: Prompt, looks: int) -> dict[str, Tensor]:
    """As Process.validation, of one item; with gradients where they are asked for. Where noise matters, `looks` copies
    in one batch see noise levels and masks spread over all there are, the same for every item."""
    heard = hear(model, [prompt])
    with torch.no_grad():
        latents = model.encode([datum]).to(model.device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        figures = model.eval().process.validation(latents.expand(looks, *latents.shape[1:]), heard.rows([0] * looks))
    if figures is None:
        raise Refusal(f"{type(model.process).__name__} has no loss of an item")
    return {"loss": figures["loss"], "weight": figures["weight"] / looks}
