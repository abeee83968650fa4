"""Inside a VAE's own prior: what its main directions mean."""

from collections.abc import Iterator

import torch

from ...processes.gaussian import Gaussian
from ..audited import Audited
from ..page import Section, tile

DIRECTIONS, STEPS, REACH = 4, 7, 2.5  # directions, pictures along each, and how many deviations out


def view(audited: Audited) -> Iterator[Section]:
    model, process = audited.model, audited.model.process
    assert isinstance(process, Gaussian)
    label = int(process.share_L.argmax())
    factor = process.factor_LFR[label].double()
    heights, directions = torch.linalg.eigh(factor.T @ factor)
    strips = []
    for k in range(1, min(DIRECTIONS, len(heights)) + 1):
        axis = factor @ directions[:, -k]  # of the length of one deviation
        reach = torch.linspace(-REACH, REACH, STEPS, dtype=torch.float64)
        points = process.mean_LF[label].double() + reach[:, None] * axis
        drawn = model.shown(points.float().view(STEPS, process.space.sites, -1))
        strips.append([tile(model.modality, d, f"{float(r):+.1f}") for d, r in zip(drawn, reach, strict=True)])
    told = [
        "Each row goes along one direction in which the training data's codes differ most, from below the mean to "
        "above it, in standard deviations."
    ]
    yield Section("sweeps", "What its directions mean", told, strips=strips)
