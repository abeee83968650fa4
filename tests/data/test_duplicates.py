"""Copies and near copies."""

from dataclasses import dataclass

import numpy as np

from septet.data.duplicates import BANDS, NEAR, ROWS, digest, jaccard, near, signature


@dataclass(frozen=True)
class Point:
    x: float
    name: str


def test_digests_tell_content_apart():
    a = np.arange(6, dtype=np.uint8)
    different = [
        a,
        a.reshape(2, 3),
        a.astype(np.int16),
        "ab",
        ("a", "b"),
        ["a", "b", ""],
        ("ab",),
        Point(1.0, "p"),
        1,
        1.5,
    ]
    assert len({digest(value) for value in different}) == len(different)
    assert digest(Point(1.0, "p")) == digest(Point(1.0, "p")) and digest(a) == digest(a.copy())
    long = np.zeros(5000)
    changed = long.copy()
    changed[2500] = 1
    assert digest(long) != digest(changed)


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
    groups = near(np.stack([signature(sketch) for sketch in sketches]), lambda i: sketches[i], range(len(sketches)))
    assert all(groups.find(500 + i) == i for i in range(50))
    assert len({groups.find(i) for i in range(550)}) == 500


def test_a_chain_of_small_changes_does_not_become_one_group():
    sketches = [np.arange(20 * i, 20 * i + 200, dtype=np.uint32) for i in range(40)]
    assert jaccard(sketches[0], sketches[1]) >= NEAR
    groups = near(np.stack([signature(sketch) for sketch in sketches]), lambda i: sketches[i], range(40))
    heads = [groups.find(i) for i in range(40)]
    assert 8 <= len(set(heads)) < 40
