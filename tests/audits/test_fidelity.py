"""The figures of fidelity against their definitions, written plainly, and against laws that are known."""

import numpy as np
import pytest
import torch
from scipy import linalg, spatial
from synthetic import pictures

from septet.audits import fidelity
from septet.modalities.image import Image
from septet.originality.neighbours import nearest, radii
from septet.space import Refusal


def normal(seed: int, count: int, width: int = 6) -> np.ndarray:
    stream = np.random.default_rng(seed)
    return stream.normal(size=(count, width)) @ stream.normal(size=(width, width)) + stream.normal(size=width)


def test_frechet_distance_against_scipy():
    x, y = normal(0, 90), normal(1, 80)
    one, two = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.real(linalg.sqrtm(one @ two))
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(one + two - 2 * root)
    assert fidelity.frechet(x, y) == pytest.approx(expected, rel=1e-9)
    assert fidelity.frechet(x, x) == pytest.approx(0, abs=1e-6)


def test_kernel_distance_against_its_sum():
    x, y = normal(2, 7, 4) / 3, normal(3, 7, 4) / 3

    def k(a, b):
        return (a @ b / 4 + 1) ** 3

    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    expected = np.mean([k(x[i], x[j]) + k(y[i], y[j]) for i, j in pairs])
    expected -= 2 * np.mean([k(a, b) for a in x for b in y])
    assert fidelity._squared_mmd(x, y) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_is_unbiased_and_sees_a_shift():
    stream = np.random.default_rng(4)
    same = [fidelity.kernel_distance(*stream.normal(size=(2, 60, 5)))[0] for _ in range(40)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 40**0.5
    mean, deviation = fidelity.kernel_distance(stream.normal(size=(60, 5)), stream.normal(size=(60, 5)) + 1)
    assert mean > max(same) and deviation > 0


def test_manifolds_against_brute_force():
    made, real, k = normal(5, 40, 3), normal(6, 50, 3), 3
    ball = [np.sort(spatial.distance.cdist(x, x))[:, k] for x in (made, real)]  # column 0 is the point itself
    apart = spatial.distance.cdist(real, made)
    inside = apart < ball[1][:, None]
    expected = {
        "precision": inside.any(0).mean(),
        "recall": (apart < ball[0]).any(1).mean(),
        "density": inside.sum() / (k * len(made)),
        "coverage": inside.any(1).mean(),
    }
    found = fidelity.manifolds(torch.from_numpy(made), torch.from_numpy(real), k)
    assert found == pytest.approx(expected)
    assert 0 < found["coverage"] < 1 and found["precision"] != found["recall"]


def test_neighbours_in_blocks_against_brute_force():
    x, y = (torch.from_numpy(normal(seed, 700, 3)) for seed in (7, 8))
    apart = torch.cdist(x, y)
    distance, index = nearest(x, y)
    assert torch.allclose(distance, apart.min(1).values) and torch.equal(index, apart.argmin(1))
    assert torch.allclose(radii(x, 2), torch.cdist(x, x).fill_diagonal_(torch.inf).kthvalue(2, 1).values)


def test_honest_pictures_score_as_their_floor_and_collapsed_ones_do_not():
    real, held_out, honest = pictures(160, 1), pictures(80, 2), pictures(80, 3)
    found = fidelity.compare(honest, real, held_out, Image(24))
    made, floor = found["generated"], found["floor"]
    assert found["items"] == 80 and found["axes"] == 16 and found["floor_from"] == "held-out data"
    assert made["frechet_distance"] == pytest.approx(floor["frechet_distance"], rel=0.5)
    assert abs(made["coverage"] - floor["coverage"]) < 0.1 and abs(made["density"] - floor["density"]) < 0.3
    collapsed = fidelity.compare(honest[:4] * 20, real, held_out, Image(24))["generated"]
    assert collapsed["coverage"] < 0.5 * floor["coverage"] and collapsed["recall"] < 0.5 * floor["recall"]
    assert collapsed["frechet_distance"] > 2 * floor["frechet_distance"]
    assert collapsed["kernel_distance"] > floor["kernel_distance"] + 3 * floor["kernel_distance_deviation"]


def test_few_held_out_items_make_two_halves_the_floor_and_too_few_items_refuse():
    real = pictures(60, 1)
    found = fidelity.compare(pictures(40, 3), real, pictures(5, 2), Image(24))
    assert found["items"] == 30 and found["floor_from"] == "the other half of the training data"
    with pytest.raises(Refusal, match="at least 10"):
        fidelity.compare(real[:9], real, [], Image(24))
