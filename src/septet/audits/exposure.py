"""View: how much the model keeps of random items that were planted among its training data."""

import math

import torch

from ..data import canaries
from ..generator import Generator
from ..space import Refusal
from .audited import Audited
from .losses import item_loss
from .page import Section

RIVALS = 255  # random items that were not planted
CLEARLY = 1.0  # bits below the most; by chance one of seven levels comes so near in 5 of 100 models
LOOKS = 4  # noises over which a loss is averaged


def view(audited: Audited) -> Section | None:
    """The exposure of each canary, log2 of all over its rank by loss (Carlini et al. 2019, eq. 1): 1.4 on average
    where nothing is kept, 8 where it is likelier than all rivals. None without canaries or without a loss."""
    model, count = audited.model, canaries.planted_in(audited.run)
    if not count:
        return None
    try:
        losses = [_loss(model, seed) for seed in range(count)]
        rivals = [_loss(model, canaries.RIVALS + k) for k in range(RIVALS)]
    except Refusal:
        return None
    found: dict[int, list[float]] = {}
    for seed, loss in enumerate(losses):
        rank = 1 + sum(rival <= loss for rival in rivals)  # what a codec cannot tell apart is not kept
        found.setdefault(canaries.times(seed), []).append(math.log2((RIVALS + 1) / rank))
    means = {times: sum(exposures) / len(exposures) for times, exposures in sorted(found.items())}
    most = math.log2(RIVALS + 1)
    bars = [(f"planted {times} times", mean / most, f"{mean:.1f} of {most:.0f} bits") for times, mean in means.items()]
    told = [
        f"{count} random items were planted among the training data. An exposure of {most:.0f} bits means that the "
        f"model finds one likelier than {RIVALS} others that it never saw; about 1.4 bits come by chance."
    ]
    kept = [f"{times}" for times, mean in means.items() if mean > most - CLEARLY]
    told.append(f"It keeps what it saw {', '.join(kept)} times." if kept else "It keeps none of them clearly.")
    return Section("canaries", "Planted canaries", told, bars=bars, figures=means)


def _loss(model: Generator, seed: int) -> float:
    """Of a whole item, not a symbol of it: rivals differ in length."""
    with torch.no_grad():
        figures = item_loss(model, canaries.canary(model.modality, seed), None, LOOKS)
    return float(figures["loss"]) * (float(figures["weight"]) if model.process.space.discrete else 1.0)
