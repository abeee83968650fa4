"""Attention weights, recomputed from the inputs of attention layers by forward hooks.

Shapes: B batch, H heads, N query sites, T key sites.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...backbones.layers import Attention, rotate


@torch.no_grad()
def recorded(module: nn.Module, work: Callable[[], Any]) -> list[Tensor]:
    """Attention weights (B, H, N, T) of each layer, in the order in which `work` calls them, without a cache."""
    found: list[Tensor] = []

    def look(layer: Attention, given: tuple, *_: Any) -> None:
        x, turn, mask, causal = given[:4]
        B, N, _ = x.shape
        query = layer.query_norm(layer.query(x).view(B, N, layer.heads, -1).float()).transpose(1, 2)
        key = layer.key_norm(layer.key(x).view(B, N, layer.kv_heads, -1).float()).transpose(1, 2)
        query, key = (rotate(t, turn[0].float(), turn[1].float()) for t in (query, key))
        scores = query @ key.repeat_interleave(layer.heads // layer.kv_heads, 1).mT * query.shape[-1] ** -0.5
        seen = torch.ones(N, N, dtype=torch.bool, device=x.device).tril() if causal else mask
        scores = scores if seen is None else scores.masked_fill(~seen, -torch.inf)
        found.append(scores.softmax(-1))

    layers = [part for part in module.modules() if isinstance(part, Attention)]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    try:
        work()
    finally:
        for hook in hooks:
            hook.remove()
    return found
