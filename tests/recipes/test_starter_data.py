"""What starters do to their data while training: drawings turned, prompts worded in several ways, tags as synonyms."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from septet import models, runs
from septet.codecs.paths import Paths
from septet.conditioners.text import Text
from septet.data.batches import Batches
from septet.modalities.drawing import Drawing, Figure
from septet.modalities.vector import arrange, shades

sys.path.insert(0, str(Path(__file__).parents[2] / "pretraining"))
import icons  # pyright: ignore[reportMissingImports]
import train_emoji  # pyright: ignore[reportMissingImports]
import train_icons  # pyright: ignore[reportMissingImports]
import turning  # pyright: ignore[reportMissingImports]
import wordings  # pyright: ignore[reportMissingImports]

FLAG = (("M", 5 + 3j), ("L", 19 + 3j), ("L", 16 + 7j), ("A", 0.3, 19 + 11j), ("L", 5 + 11j), ("L", 5 + 21j))
PICTURES = {
    "mirrored": lambda shades_SS: shades_SS[:, ::-1],
    "quarter-turned": lambda shades_SS: np.rot90(shades_SS, -1),
    "half-turned": lambda shades_SS: np.rot90(shades_SS, 2),
    "back-turned": lambda shades_SS: np.rot90(shades_SS, 1),
}


@pytest.mark.parametrize("turn", turning.TURNS)
def test_a_turned_drawing_looks_as_its_picture_turned(turn):
    drawing, codec = arrange(Drawing((Figure(FLAG, fill=False, width=2.0),))), Paths()
    symbols = turning.turned_symbols(codec, codec.encode([drawing])[0], turn)
    seen = shades(codec.decode(symbols[None])[0], 48)
    assert (
        np.abs(seen - PICTURES[turn](shades(drawing, 48))).mean()
        < 0.004
        < 0.05
        < np.abs(seen - shades(drawing, 48)).mean()
    )


def test_a_drawing_that_grows_too_long_is_left_out():
    codec = Paths(length=16)
    drawing = Drawing((Figure(FLAG, fill=False, width=2.0), Figure(FLAG)))
    symbols = Paths().encode([drawing])[0]
    assert len(symbols) > 16 and turning.turned_symbols(codec, symbols, "mirrored") is None


def test_icons_are_asked_for_in_full_in_part_by_synonyms_and_in_any_order():
    said = train_icons.ways("bell off, outline, tabler", {"bell off": ["mute"]}, np.random.default_rng(0))
    assert {"bell off, outline, tabler", "bell off, outline", "bell off", "mute, outline, tabler"} < set(said)
    assert {said[-1]} <= {"outline, tabler bell off", "outline, tabler off bell"}


def test_icons_learn_to_draw_and_then_to_listen(tmp_path):
    rows = []
    for number in range(40):
        points = [complex(x, y) for x, y in np.random.default_rng(number).integers(2, 22, (3, 2)).tolist()]
        drawing = arrange(Drawing((Figure((("M", points[0]), ("L", points[1]), ("L", points[2]), ("Z",))),)))
        rows.append((Paths().encode([drawing])[0].numpy(), f"kite {number}, outline, tabler", number % 3 == 0, 0))
    icons.save(tmp_path / "icons.npz", rows)
    (tmp_path / "tags.json").write_text('{"kite 1": ["dragon"]}')
    tiny: dict[str, Any] = {"width": 32, "layers": 1, "batch": 4, "inner": 16, "compiled": False}
    for start, stages in ((None, ["gpt", "captions"]), (models.load("icons"), ["captions"])):
        model = runs.train(tmp_path / "icons.npz", train_icons.icons_gpt, tmp_path / "m", start=start, steps=4, **tiny)
        assert list(json.loads((tmp_path / "m" / "run.json").read_text())["stages"]) == stages
        assert isinstance(model.conditioner, Text)


def test_an_icon_among_coloured_drawings_has_no_colour():
    drawing = Drawing((Figure(FLAG, fill=False, width=2.0), Figure(FLAG)))
    one, many = Paths(), Paths(colours=["#ff0000"])
    assert torch.equal(train_emoji.inked(many, one.encode([drawing])[0]), many.encode([drawing])[0])


@pytest.mark.skipif("icons" not in models.starters(), reason="the starter icons is not in this checkout")
def test_a_model_that_learns_colours_keeps_what_it_knows():
    start, codec = models.load("icons"), Paths(length=448, colours=["#ff0000", "#0000ff"])
    wider = train_emoji.coloured(start, codec, ["a zyzzyva, flat"], dropout=0.0, fill=0.1)
    icon = Paths().encode([Drawing((Figure(FLAG, fill=False, width=2.0),))])
    told = [
        model.eval().process.predict(icon, model.conditioner(model.conditioner.prepare(["flag, outline"])))
        for model in (start, wider)
    ]
    assert torch.allclose(told[0], told[1][..., : told[0].shape[-1]], atol=1e-4)
    assert not wider.conditioner.unseen("flag zyzzyva") and start.conditioner.unseen("zyzzyva")


def test_each_row_gets_one_of_its_own_wordings():
    said = [[f"{word} {way}" for way in ("one", "two", "three")] for word in ("red", "green", "blue", "grey")]
    conditioner = Text.learned(16, [way for ways in said for way in ways])
    prompts = wordings.prepared(conditioner, said)
    assert prompts.shape == (4, 3, conditioner.length)
    batches = wordings.Wordings(Batches(torch.arange(4)[:, None], prompts, 4))
    seen = set()
    for step in range(12):
        batch = batches.at(step)
        for latent, prompt in zip(batch["latents"][:, 0].tolist(), batch["prompt"], strict=True):
            ways = [way for way in range(3) if torch.equal(prompt, prompts[latent, way])]
            assert len(ways) == 1
            seen.add((latent, ways[0]))
        assert torch.equal(batches.at(step)["prompt"], batch["prompt"])
    assert len(seen) > 8
