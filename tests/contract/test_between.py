"""What lies between two noises and two prompts."""

import pytest
import torch

from septet.conditioners.attributes import Attributes
from septet.contracts import Context
from septet.processes.gaussian import Gaussian
from septet.processes.interpolation import contexts_between, uniform_between
from septet.processes.streams import uniform
from septet.space import Space


def test_noise_between_two_uniform_noises_is_uniform():
    first, last = uniform([1, 2], (20_000,))
    for share in (0.3, 0.5):
        between = uniform_between(first, last, share)
        for place in (0.1, 0.5, 0.9):
            assert abs(float((between < place).float().mean()) - place) < 0.015  # 4 standard errors
    assert float((first - uniform_between(first, last, 0.0)).abs().max()) < 1e-6


def test_noise_between_stays_below_one():
    highest = torch.full((4,), 1 - 2**-24)
    assert float(uniform_between(highest, highest.flip(0), 0.5).max()) < 1


@pytest.mark.parametrize("share, tokens", [(0.0, 2), (0.5, 3), (1.0, 3)])
def test_at_its_ends_only_one_prompt_is_heard(share: float, tokens: int):
    first = Context(torch.ones(1, 2, 4), torch.ones(1, 2, dtype=torch.bool))
    last = Context(torch.ones(1, 3, 4), torch.ones(1, 3, dtype=torch.bool))
    between = contexts_between(first, last, torch.tensor([share]))
    assert between.valid_BM is not None and int(between.valid_BM.sum()) == tokens


def test_between_two_labels_stands_the_nearer():
    space, symbols = Space((2,), channels=1), torch.tensor([[1], [2]]).repeat(50, 1)
    process = Gaussian.fitted(space, symbols[..., None].float() * 10 + torch.randn(100, 2, 1) * 0.1, symbols)
    conditioner = Attributes.learned(8, ["one", "two"])
    first, last = (conditioner(conditioner.prepare([label] * 5)) for label in ("one", "two"))
    context = contexts_between(first, last, torch.linspace(0, 1, 5))
    assert context.symbols_BM is not None and context.symbols_BM.squeeze(1).tolist() == [1, 1, 2, 2, 2]
    assert process.sample(process.noise(range(5)), context).shape == (5, 2, 1)
