"""Advice on how much data is enough: a sentence for each measured kind, by what there is."""

import numpy as np
import pytest

from septet import recipes
from septet.data import advice
from septet.data.dataset import read
from septet.modalities.code import Code
from septet.modalities.image import Image
from septet.modalities.text import Text


def pictures(count: int) -> list[np.ndarray]:
    stream = np.random.default_rng(0)
    return list(stream.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8))


def said(count: int, known: advice.Enough, monkeypatch: pytest.MonkeyPatch, starters: list[str]) -> str:
    monkeypatch.setattr(advice, "starters", lambda kind: starters)
    return advice.advice(read(pictures(count), Image(8)), known)


def test_it_tells_training_from_adapting_from_too_few(monkeypatch: pytest.MonkeyPatch):
    known = advice.Enough("pictures", train=40, adapt=12)
    assert "40 pictures: enough to train" in said(40, known, monkeypatch, ["pets"])
    assert "enough to fine-tune the starter 'pets'" in said(12, known, monkeypatch, ["pets"])
    assert "--like" in said(11, known, monkeypatch, ["pets"])
    assert "few to train from random weights" in said(12, known, monkeypatch, [])


def test_texts_are_counted_in_characters():
    assert recipes.advised(read(["word " * 10], Text(), held_out=0)).startswith("50 characters: ")


def test_what_was_never_measured_gets_no_advice():
    assert recipes.advised(read(["x = 1\n"], Code(), held_out=0)) == ""
