"""What a model favours: told with intervals, on a model that is known to favour it, and on one that is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet import runs
from septet.audits import adherence, bias
from septet.audits.audited import Audited
from septet.audits.judging import Share
from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners.nothing import Nothing
from septet.data.dataset import Dataset, read
from septet.generator import Generator
from septet.modalities.image import Image
from septet.modalities.text import Text
from septet.processes.autoregressive import Autoregressive


def coloured(count: int, red: float, seed: int) -> tuple[list[np.ndarray], list[dict[str, str]]]:
    """Plain pictures, red or blue, dark or light; the shade is asked for, the colour is left to chance."""
    stream = np.random.default_rng(seed)
    pictures, prompts = [], []
    for _ in range(count):
        is_red, is_light = stream.random() < red, stream.random() < 0.5
        picture = np.full((8, 8, 4), 255, np.uint8)
        level = (230 if is_light else 110) + stream.integers(-20, 20)
        picture[..., :3] = (level, 30, 30) if is_red else (30, 30, level)
        picture[..., :3] += stream.integers(0, 20, (8, 8, 3)).astype(np.uint8)
        pictures.append(picture)
        prompts.append({"colour": "red" if is_red else "blue", "shade": "light" if is_light else "dark"})
    return pictures, prompts


@pytest.fixture(scope="module")
def skewed(tmp_path_factory) -> tuple[Generator, Dataset, Path]:
    """A VAE's own prior, which keeps the law of its data: nine in ten are red."""
    folder = tmp_path_factory.mktemp("skewed") / "model"
    data = coloured(400, 0.9, 1)
    options: dict[str, Any] = {"size": 8, "latent": 4, "width": 8, "hidden": 16, "batch": 32, "prompts": "labels"}
    model = runs.train(data, "image_vae", folder, steps=150, **options)
    return model, read(data, Image(8)), folder


def audited(model: Generator, dataset: Dataset, folder: Path) -> Audited:
    rows = [(dataset.prompts[i], k) for k, i in enumerate(dataset.validation)]
    outputs = [output for moment in model.generating(rows, tile=20) for output in moment.outputs]
    return Audited(model, folder, {}, folder, dataset, outputs, [], None, {})


def test_a_skew_of_the_data_is_measured_in_data_and_draws(skewed):
    found = bias.view(audited(*skewed))
    assert found is not None
    figures = found.figures["colour"]
    share = next(iter(figures["drawn"].values()))["red"]
    assert figures["judge_accuracy"] > 0.95 and figures["data"]["red"] == pytest.approx(0.9, abs=0.05)
    assert share["low"] <= share["share"] <= share["high"] and share["share"] > 0.6
    assert any("of the data and" in sentence for sentence in found.sentences)


def test_what_is_asked_for_is_looked_for(skewed):
    found = adherence.view(audited(*skewed))
    assert found is not None and set(found.figures) >= {"colour", "shade"}
    assert found.figures["colour"]["outputs"] == 40 and found.figures["colour"]["followed"] > 0.7


def test_draws_that_were_made_already_are_not_made_again(skewed, monkeypatch: pytest.MonkeyPatch):
    model, dataset, folder = skewed
    outputs = [
        output for moment in model.generating([(None, k) for k in range(40)], tile=20) for output in moment.outputs
    ]
    found = Audited(model, folder, {}, folder, dataset, outputs, [], None, {})
    monkeypatch.setattr(model, "generating", lambda *_, **__: pytest.fail("it drew again"))
    assert bias._drawn(found, [None], 1.0) == [output.datum for output in outputs]
    with pytest.raises(pytest.fail.Exception):
        bias._drawn(found, [{"shade": "dark"}], 1.0)


def test_a_text_model_that_hears_nothing_is_not_drawn_from_again(monkeypatch: pytest.MonkeyPatch):
    codec = Symbols(8)
    model = Generator(Text(), codec, Autoregressive(codec.space, Transformer(16, 1, heads=1)), Nothing())
    outputs = list(model.generate(None, count=40, length=3))
    found = Audited(model, Path(), {}, Path(), read(["abc"] * 4, Text()), outputs, [], None, {}, {"length": 3})
    monkeypatch.setattr(model, "generating", lambda *_, **__: pytest.fail("it drew again"))
    assert bias._drawn(found, [None], 1.0) == [output.datum for output in outputs]


def test_amplification_is_said_only_where_intervals_part():
    data = {"red": 0.9, "blue": 0.1}

    def shares(share: float, low: float, high: float) -> dict[str, Share]:
        return {"red": Share(share, low, high), "blue": Share(1 - share, 1 - high, 1 - low)}

    plain, same, more, less = (
        shares(0.9, 0.85, 0.94),
        shares(0.92, 0.87, 0.95),
        shares(0.99, 0.96, 1),
        shares(0.5, 0.4, 0.6),
    )
    assert bias._between("colour", data, {1.0: plain, 3.0: same}) == [
        "Stronger guidance does not change colour 'red' significantly."
    ]
    assert bias._between("colour", data, {1.0: plain, 3.0: more}) == ["Stronger guidance amplifies colour 'red'."]
    assert bias._between("colour", data, {1.0: plain, 3.0: less}) == ["Stronger guidance weakens colour 'red'."]
    assert bias._between("colour", data, {1.0: plain}) == []
    assert "generated more often than in the data" in bias._sentence("colour", data, 3.0, more)
    assert "no significant difference" in bias._sentence("colour", data, 3.0, same)
    assert "generated less often than in the data" in bias._sentence("colour", data, 3.0, less)
