"""Section of the audit page: memorisation of canaries, random items that were planted in the training data."""

import math

import torch

from ..data import canaries
from ..generator import Generator
from ..space import Refusal
from .audited import Audited
from .losses import item_loss
from .page import Section

RIVALS = 255  # random items that were not planted, for comparison
CLEARLY = 1.0  # bits below the maximum; by chance, one of seven levels comes this close in 5 % of models
LOOKS = 4  # noise samples over which a loss is averaged


def view(audited: Audited) -> Section | None:
    """The exposure of canaries, by how often they were planted: log2(number of items / rank by loss) (Carlini et al.
    2019, eq. 1), 1.4 on average without memorisation and 8 if a canary is more likely than all rivals. None without
    canaries, or without a loss of single items."""
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
        rank = 1 + sum(rival <= loss for rival in rivals)  # ties count against memorisation
        found.setdefault(canaries.times(seed), []).append(math.log2((RIVALS + 1) / rank))
    means = {times: sum(exposures) / len(exposures) for times, exposures in sorted(found.items())}
    most = math.log2(RIVALS + 1)
    bars = [(f"planted {times} times", mean / most, f"{mean:.1f} of {most:.0f} bits") for times, mean in means.items()]
    sentences = [
        f"{count} random items were planted in the training data. An exposure of {most:.0f} bits means that the model "
        f"finds one more likely than {RIVALS} others that it was not trained on; chance gives about 1.4 bits."
    ]
    kept = [f"{times}" for times, mean in means.items() if mean > most - CLEARLY]
    sentences.append(
        f"It memorised items that were planted {', '.join(kept)} times." if kept else "No item was clearly memorised."
    )
    return Section("canaries", "Planted canaries", sentences, bars=bars, figures=means)


def _loss(model: Generator, seed: int) -> float:
    """The loss of a canary, summed over its symbols, since rivals differ in length."""
    with torch.no_grad():
        figures = item_loss(model, canaries.canary(model.modality, seed), None, LOOKS)
    return float(figures["loss"]) * (float(figures["weight"]) if model.process.space.discrete else 1.0)
