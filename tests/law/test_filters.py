"""Filters: what many symbols are reduced to by looking at the best alone is what all of them give; penalties."""

from typing import Any

import pytest
import torch

from septet.processes import filters
from septet.processes.filters import Filter
from septet.space import Refusal

SETTINGS = [{}, {"temperature": 0.2}, {"temperature": 3.0}, {"top_k": 40}, {"top_p": 0.9}, {"min_p": 0.01}]
SETTINGS += [{"top_p": 0.9999, "temperature": 2.0}, {"top_k": 5, "min_p": 0.3}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_looking_at_the_best_first_changes_no_draw(settings: dict, monkeypatch: pytest.MonkeyPatch):
    stream = torch.Generator().manual_seed(0)
    scores, uniform = 4 * torch.randn(200, 5000, generator=stream), torch.rand(200, generator=stream)
    uniform[:3] = torch.tensor([0.0, 1 - 2**-24, 0.5])
    quick = Filter(**settings).choose(scores, uniform)
    monkeypatch.setattr(filters, "BEST", 10**6)
    assert torch.equal(quick, Filter(**settings).choose(scores, uniform))


def test_penalties_are_what_they_say():
    scores = torch.tensor([[2.0, -2.0, 1.0, 0.5]])
    given, drawn = [torch.tensor([0])], [torch.tensor([1, 1, 2])]
    found = Filter(repetition_penalty=2.0).penalised(scores, given, drawn)
    assert found.tolist() == [[1.0, -4.0, 0.5, 0.5]]
    found = Filter(presence_penalty=1.0, frequency_penalty=0.25).penalised(scores, given, drawn)
    assert found.tolist() == [[2.0, -3.5, -0.25, 0.5]] and scores[0, 1] == -2


def test_impossible_penalties_are_refused():
    wrong: list[dict[str, Any]] = [
        {"repetition_penalty": 0.0},
        {"presence_penalty": float("nan")},
        {"frequency_penalty": 1e9},
    ]
    for settings in [*wrong, {"frequency_penalty": 1e9}]:
        with pytest.raises(Refusal, match=next(iter(settings))):
            Filter(**settings)
