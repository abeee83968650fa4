"""What a Gaussian process fitted per label says of the labels it knows, and refuses of the rest."""

import pytest
import torch

from septet.contracts import Context
from septet.processes.gaussian import Gaussian
from septet.space import Refusal, Space


def test_it_measures_labels_and_says_less_for_less():
    space = Space((2,), channels=1)
    symbols = torch.tensor([[1, 1], [1, 2], [2, 1]]).repeat(50, 1)
    process = Gaussian.fitted(space, symbols[..., None].float() * 10 + torch.randn(150, 2, 1) * 0.1, symbols)
    for said, possible in (
        ([2, 1], [[20, 10]]),
        ([1, 0], [[10, 10], [10, 20]]),
        ([0, 0], [[10, 10], [10, 20], [20, 10]]),
    ):
        context = Context(symbols_BM=torch.tensor([said]).expand(60, 2))
        drawn = process.sample(process.noise(range(60)), context)[..., 0]
        assert sorted(drawn.div(10).round().mul(10).int().unique(dim=0).tolist()) == possible
    with pytest.raises(Refusal, match="no training item has this combination"):
        process.sample(process.noise([0]), Context(symbols_BM=torch.tensor([[2, 2]])))
    with pytest.raises(Refusal, match="neither free text nor content"):
        process.sample(process.noise([0]), Context(torch.randn(1, 2, 32)))
