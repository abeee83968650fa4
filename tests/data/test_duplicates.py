"""Copies and near copies."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from septet.data.duplicates import BANDS, NEAR, ROWS, jaccard, near, signature
from septet.modalities.digests import digest
from septet.space import Refusal


@dataclass(frozen=True)
class Point:
    x: float
    name: str


@dataclass(frozen=True)
class Sound:
    x: float
    name: str


def test_digests_tell_content_apart():
    a = np.arange(6, dtype=np.uint8)
    different = [
        a,
        a.reshape(2, 3),
        a.astype(np.int16),
        a.astype(np.float32),
        a > 2,
        "ab",
        b"ab",
        ("a", "b"),
        ["a", "b", ""],
        ("ab",),
        (("a",), "b"),
        Point(1.0, "p"),
        Sound(1.0, "p"),
        {"x": 1.0, "name": "p"},
        {"x": "name", "1.0": "p"},
        {},
        [],
        1,
        1.5,
        1.5j,
        True,
        None,
        "None",
    ]
    assert len({digest(value) for value in different}) == len(different)
    assert digest(Point(1.0, "p")) == digest(Point(1.0, "p")) and digest(a) == digest(a.copy())


@pytest.mark.parametrize("wrap", [lambda a: a, lambda a: {"sound": a}, lambda a: [("x", {"deep": a})]])
def test_long_arrays_are_told_apart_wherever_they_lie(wrap):
    long = np.zeros((16_000, 2), np.float32)
    changed = long.copy()
    changed[8000] = 1
    assert digest(wrap(long)) != digest(wrap(changed)) and digest(wrap(long)) == digest(wrap(long.copy()))


def test_equal_content_has_one_digest():
    a = np.arange(60, dtype=np.int16).reshape(6, 10)
    assert digest(a) == digest(a.astype(">i2")) == digest(np.asfortranarray(a)) == digest(np.flip(np.flip(a, 1), 1))
    assert digest({"a": a, "b": [1]}) == digest({"b": (1,), "a": a})


@pytest.mark.parametrize("value", [{1, 2}, object(), np.array([object()]), {"a": [torch.zeros(2)]}, Point], ids=str)
def test_what_cannot_be_hashed_is_refused_by_name(value):
    with pytest.raises(Refusal, match="a datum of (set|object|object array|Tensor|type): expected arrays"):
        digest(value)


def test_a_signature_estimates_the_jaccard_index():
    random = np.random.default_rng(0)
    errors = []
    for share in (0.3, 0.6, 0.9):
        common = random.integers(2**32, size=int(300 * share), dtype=np.uint32)
        first, second = (
            np.unique(np.append(common, random.integers(2**32, size=300 - len(common), dtype=np.uint32))) for _ in "ab"
        )
        errors.append((signature(first) == signature(second)).mean() - jaccard(first, second))
    assert np.abs(errors).max() < 0.2 and len(signature(first)) == BANDS * ROWS


def test_near_copies_are_found_in_a_crowd_and_others_are_not():
    random = np.random.default_rng(1)
    sketches = [np.unique(random.integers(2**32, size=200, dtype=np.uint32)) for _ in range(500)]
    sketches += [
        np.unique(np.append(sketch[8:], random.integers(2**32, size=8, dtype=np.uint32))) for sketch in sketches[:50]
    ]
    groups = near(np.stack([signature(sketch) for sketch in sketches]), sketches.__getitem__)
    assert groups == [[i, 500 + i] if i < 50 else [i] for i in range(500)]


def test_a_chain_of_small_changes_does_not_become_one_group():
    sketches = [np.arange(20 * i, 20 * i + 200, dtype=np.uint32) for i in range(40)]
    assert jaccard(sketches[0], sketches[1]) >= NEAR
    groups = near(np.stack([signature(sketch) for sketch in sketches]), sketches.__getitem__)
    assert 8 <= len(groups) < 40


def test_items_without_a_sketch_are_near_nothing():
    sketches = [np.arange(50, dtype=np.uint32)] * 2 + [np.zeros(0, np.uint32)] * 2
    groups = near(np.stack([signature(sketch) for sketch in sketches]), sketches.__getitem__)
    assert groups == [[0, 1], [2], [3]]
