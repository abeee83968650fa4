"""Contexts of prompts, and the loss of a single item, averaged over noise."""

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
    """The model's Context of prompts, one row each; of empty prompts if the model is unconditional."""
    conditioner = model.conditioner
    return conditioner(moved(conditioner.prepare(conditioner.accepted(prompts)), model.device))


def item_loss(model: Generator, datum: Any, prompt: Prompt, looks: int) -> dict[str, Tensor]:
    """As Process.validation, for one item, and differentiable. If the loss depends on noise, it is averaged over a
    batch of `looks` copies whose noise levels or masks are stratified, and the same for every item."""
    context = hear(model, [prompt])
    with torch.no_grad():
        latents = model.encode([datum]).to(model.device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        figures = model.eval().process.validation(latents.expand(looks, *latents.shape[1:]), context.rows([0] * looks))
    if figures is None:
        raise Refusal(f"{type(model.process).__name__} has no loss of single items")
    return {"loss": figures["loss"], "weight": figures["weight"] / looks}
