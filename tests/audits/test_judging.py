"""The judge of labels, and shares that hold what is true."""

import numpy as np
import pytest
import torch
from torch import Tensor

from septet.audits.judging import Judge, taught
from septet.modalities.image import Image
from septet.space import Refusal


class Points(Image):
    """Points of a plane as data, which are their own features."""

    def features(self, data) -> Tensor:
        return torch.as_tensor(np.stack(list(data)), dtype=torch.float32)


def drawn(stream: np.random.Generator, shares: list[float], count: int) -> tuple[list[np.ndarray], list[str]]:
    """Points around (0, 0) and (2, 0), which overlap: a judge errs on a sixth of them."""
    kind = stream.choice(2, count, p=shares)
    return [stream.normal((2.0 * k, 0.0)) for k in kind], ["ab"[k] for k in kind]


@pytest.fixture(scope="module")
def judge() -> Judge:
    stream = np.random.default_rng(0)
    return taught(Points(8), *drawn(stream, [0.9, 0.1], 800), *drawn(stream, [0.9, 0.1], 200))


def test_the_judge_knows_how_often_it_errs(judge):
    data, labels = drawn(np.random.default_rng(1), [0.9, 0.1], 4000)
    right = np.mean([judge.values[k] == label for k, label in zip(judge.read(data), labels, strict=True)])
    assert judge.accuracy == pytest.approx(right, abs=0.05) and len(judge.truth_n) == 200


@pytest.mark.parametrize("truth", [0.1, 0.3])
def test_intervals_hold_the_true_share_of_data_skewed_nine_to_one(judge, truth):
    held = 0
    for seed in range(40):
        data, _ = drawn(np.random.default_rng(100 + seed), [1 - truth, truth], 150)
        share = judge.shares(judge.read(data), seed)["b"]
        held += share.low <= truth <= share.high
    assert held >= 35


def test_amplification_is_found_where_it_is_and_not_where_it_is_not(judge):
    stream = np.random.default_rng(7)
    plain, same, pulled = (judge.shares(judge.read(drawn(stream, [1 - b, b], 400)[0])) for b in (0.3, 0.3, 0.02))
    assert same["b"].low <= plain["b"].share <= same["b"].high
    assert pulled["b"].high < plain["b"].low


def test_few_held_out_items_are_joined_by_folds_and_too_few_are_refused():
    stream = np.random.default_rng(3)
    data, labels = drawn(stream, [0.5, 0.5], 60)
    found = taught(Points(8), data, labels, data[:4], labels[:4])
    assert len(found.truth_n) == 60 and 0.7 < found.accuracy < 1
    with pytest.raises(Refusal, match="fewer than two labels have at least 5 items"):
        taught(Points(8), data[:6], ["a"] * 5 + ["b"], [], [])
