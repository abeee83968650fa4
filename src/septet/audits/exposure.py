"""View: how much the model keeps of random items that were planted among its training data."""

import math

import torch

from ..data import canaries
from ..generator import Generator
from ..space import Refusal
from .audited import Audited
from .page import Section

RIVALS = 255  # random items that were not planted
LOOKS = 2  # noises over which a loss is averaged


def view(audited: Audited) -> Section | None:
    """The exposure of each canary, log2 of all over its rank by loss (Carlini et al. 2019, eq. 1): 1 on average where
    nothing is kept, 8 where it is likelier than all rivals. None without canaries, and where a model has no loss."""
    model, count = audited.model, len(audited.dataset.canaries)
    if not count:
        return None
    try:
        losses = [_loss(model, seed) for seed in range(count)]
        rivals = [_loss(model, canaries.RIVALS + k) for k in range(RIVALS)]
    except Refusal:
        return None
    found: dict[int, list[float]] = {}
    for seed, loss in enumerate(losses):
        rank = 1 + sum(rival < loss for rival in rivals)
        found.setdefault(canaries.times(seed), []).append(math.log2((RIVALS + 1) / rank))
    means = {times: sum(exposures) / len(exposures) for times, exposures in sorted(found.items())}
    most = math.log2(RIVALS + 1)
    bars = [(f"planted {times} times", mean / most, f"{mean:.1f} of {most:.0f} bits") for times, mean in means.items()]
    told = [
        f"{count} random items were planted among the training data. An exposure of {most:.0f} bits means that the "
        f"model finds one likelier than {RIVALS} others that it never saw; about 1.4 bits come by chance."
    ]
    kept = [times for times, mean in means.items() if mean > most - 2]
    told.append(
        f"What it saw {kept[0]} times or more it keeps: repeated items can be drawn out of this model."
        if kept
        else "It keeps none of them clearly."
    )
    return Section("canaries", "Planted canaries", told, bars=bars, figures=means)


def _loss(model: Generator, seed: int) -> float:
    datum, total = canaries.canary(model.modality, seed), 0.0
    with torch.random.fork_rng():
        for look in range(LOOKS):
            torch.manual_seed(look)
            total += model.score([datum])
    return total / LOOKS
