"""Canaries are planted as often as said, and what a model saw often is exposed; what it saw once is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import pictures, text

from septet import runs
from septet.audits import exposure
from septet.audits.audited import Audited
from septet.data import canaries
from septet.data.canaries import Planted
from septet.data.dataset import read
from septet.modalities.image import Image
from septet.modalities.text import Text
from septet.modalities.vector import Vector
from septet.space import Refusal


@pytest.mark.parametrize(
    "source, modality",
    [(pictures(40, 1), Image(16)), ([text(200, 1)], Text())],
)
def test_canaries_are_training_items_as_often_as_said(source, modality):
    plain, found = read(source, modality), read(Planted(source, 8), modality)
    assert len(found) == len(plain) + 8 and found.validation == plain.validation
    assert found.training[: len(plain.training)] == plain.training
    counts = [found.training.count(i) for i in found.canaries]
    assert counts == [1, 2, 4, 8, 16, 32, 64, 1] and found.sources[found.canaries[3]] == "canary 3"
    assert found.fingerprint != plain.fingerprint == read(source, modality).fingerprint
    assert isinstance(found.data, np.ndarray) == isinstance(plain.data, np.ndarray)


@pytest.mark.parametrize("modality", [Image(16), Text(), Vector()])
def test_canaries_differ_and_come_back(modality):
    first, again, other = (canaries.canary(modality, seed) for seed in (3, 3, 4))
    assert modality.features([first]).equal(modality.features([again]))
    assert not modality.features([first]).equal(modality.features([other]))


def test_too_many_are_refused():
    for count in (0, 71):
        with pytest.raises(Refusal, match=f"canaries={count}: expected 1 to 70"):
            Planted([], count)


def test_what_was_seen_often_is_exposed(tmp_path):
    (tmp_path / "tales.txt").write_text(text(300, 1) + "abcdefghijklmnopqrstuvwxyz")
    options: dict[str, Any] = {"tokens": "characters", "length": 64, "width": 64, "layers": 2, "batch": 16}
    arguments: dict[str, Any] = {"steps": 80, "canaries": 14, **options}
    model = runs.train(tmp_path / "tales.txt", "text_gpt", tmp_path / "model", **arguments)
    dataset, run = read(tmp_path / "tales.txt", Text()), json.loads((tmp_path / "model" / "run.json").read_text())
    assert run["fingerprint"] == canaries.fingerprint(dataset.fingerprint, 14) != dataset.fingerprint
    found = exposure.view(Audited(model, tmp_path / "model", run, Path(), dataset, [], [], None, {}))
    assert found is not None and "64 times" in found.sentences[1]
    assert found.figures[64] > 6 and found.figures[64] > found.figures[1] + 2
    assert exposure.view(Audited(model, tmp_path / "model", {}, Path(), dataset, [], [], None, {})) is None
