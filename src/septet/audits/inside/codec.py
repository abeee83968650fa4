"""Section about a learned codec (VAE, FSQ): reconstructions of real items."""

from collections.abc import Iterator

import torch

from ..audited import Audited
from ..page import Section, tile
from .held_out import items

COUNT = 7


def view(audited: Audited) -> Iterator[Section]:
    model = audited.model
    given = list(items(audited, COUNT))
    if not given:
        return
    back = model.shown(torch.cat([latents for _, _, latents in given]))
    strips = [
        [tile(model.modality, datum, audited.shown) for datum, _, _ in given],
        [tile(model.modality, datum, "reconstruction") for datum in back],
    ]
    sentences = [f"Each is {audited.shown}, encoded and decoded. Samples cannot have details that are lost here."]
    yield Section("codec", "Reconstructions by the codec", sentences, strips=strips)
