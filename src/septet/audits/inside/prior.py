"""Section about the prior of a VAE: traversals along the principal axes of the latents."""

from collections.abc import Iterator

import torch

from ...processes.gaussian import Gaussian
from ..audited import Audited
from ..page import Section, tile

DIRECTIONS, STEPS, REACH = 4, 7, 2.5  # axes, pictures along each, and standard deviations to both sides


def view(audited: Audited) -> Iterator[Section]:
    model, process = audited.model, audited.model.process
    assert isinstance(process, Gaussian)
    label = int(process.share_L.argmax())
    factor = process.factor_LFR[label].double()
    heights, directions = torch.linalg.eigh(factor.T @ factor)
    strips = []
    for k in range(1, min(DIRECTIONS, len(heights)) + 1):
        axis = factor @ directions[:, -k]  # one standard deviation long
        reach = torch.linspace(-REACH, REACH, STEPS, dtype=torch.float64)
        points = process.mean_LF[label].double() + reach[:, None] * axis
        drawn = model.shown(points.float().view(STEPS, process.space.sites, -1))
        strips.append([tile(model.modality, d, f"{float(r):+.1f}") for d, r in zip(drawn, reach, strict=True)])
    sentences = [
        "Each row moves along one of the principal axes of the training data's latents, by the given number of "
        "standard deviations from the mean."
    ]
    yield Section("sweeps", "Latent traversals", sentences, strips=strips)
