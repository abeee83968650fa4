"""septet train: which model a training goes on from, and by which recipe."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from septet import models, runs
from septet.cli.app import main
from septet.storage import cards, references

TINY: dict[str, Any] = {"size": 8, "codec_width": 8, "width": 32, "layers": 1, "batch": 4}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """Pictures, and starters among which `pictures` is a GPT for pictures."""
    root = tmp_path_factory.mktemp("shop")
    (root / "pictures").mkdir()
    stream = np.random.default_rng(0)
    for number in range(10):
        pixels = stream.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / f"red apple-{number}.png")
    runs.train(root / "pictures", "image_gpt", root / "starters" / "pictures", steps=2, **TINY)
    return root


@pytest.fixture
def told(shop: Path, monkeypatch, tmp_path: Path, capsys):
    """Trains on the shop's pictures in an empty folder; gives what is said and the card of the model."""
    monkeypatch.setattr(references, "STARTERS", shop / "starters")
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[str, dict]:
        with pytest.raises(SystemExit) as ended:
            main(["train", "image", str(shop / "pictures"), "--out", "mine", *map(str, words)])
        written = capsys.readouterr()
        assert not ended.value.code, written.err
        return written.out, models.card("mine")

    return run


def test_few_pictures_start_from_the_starter_by_its_recipe(told):
    said, card = told("--steps", 1, "batch=4")
    assert "10 files are few: fine-tuning the starter 'pictures'; --from nothing starts from random weights." in said
    assert (card["started_from"], card["recipe"]) == ("pictures", "image_gpt")
    assert models.load("mine").modality.size == 8  # of the starter, not the recipe's own


@pytest.mark.parametrize(
    "words, recipe",
    [
        (["--from", "nothing", "--recipe", "gpt", "size=8", "codec_width=8", "width=32", "layers=1"], "image_gpt"),
        (["size=8", "width=32", "layers=1"], "image_diffusion"),
        (["average=0.5", "size=8", "width=32", "layers=1"], "image_diffusion"),
        (["--recipe", "diffusion", "size=8", "width=32", "layers=1"], "image_diffusion"),
        (["--recipe", "diffusion", "--from", "nothing", "size=8", "width=32", "layers=1"], "image_diffusion"),
    ],
)
def test_what_shapes_a_model_anew_begins_from_nothing(words: list[str], recipe: str, told):
    said, card = told("--steps", 2, "batch=4", *words)
    assert "are few" not in said and (card["started_from"], card["recipe"]) == (None, recipe)


def test_a_model_is_gone_on_from_by_its_own_recipe(shop: Path, told):
    shutil.copytree(shop / "starters" / "pictures", "other")
    _, card = told("--steps", 1, "batch=4", "--from", "other")
    assert (card["started_from"], card["recipe"]) == ("other", "image_gpt")


def test_a_run_from_a_starter_is_resumed_from_it(shop: Path, told):
    words: dict[str, Any] = {"source": shop / "pictures", "recipe": "image_gpt", "start": models.load("pictures")}
    run = iter(runs.Run(**words, out="mine", steps=6, checkpoint_seconds=0.0, batch=4))
    while not ((progress := next(run)).step and progress.step.step == 3):
        pass
    del run, progress
    said, card = told("--resume")
    assert "6 steps" in said and (card["started_from"], card["recipe"]) == ("pictures", "image_gpt")


def drawings(folder: Path, colours: list[str]) -> Path:
    folder.mkdir()
    for number in range(12):
        paint = colours[number % len(colours)]
        path = f'<path fill="{paint}" d="M{number} 2h9v{number + 3}z"/>'
        text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{path}</svg>'
        (folder / f"leaf {number}.svg").write_text(text)
    return folder


@pytest.fixture(scope="module")
def drawing_shop(tmp_path_factory) -> Path:
    """A folder of drawings in one colour and one in two, and a starter for each."""
    root = tmp_path_factory.mktemp("drawing-shop")
    words: dict[str, Any] = {"steps": 1, "width": 32, "layers": 1, "batch": 4, "length": 64}
    runs.train(drawings(root / "plain", ["#123456"]), "vector_gpt", root / "starters" / "icons", **words)
    runs.train(drawings(root / "bright", ["#ff0000", "#00ff00"]), "vector_gpt", root / "starters" / "emoji", **words)
    icons = root / "starters" / "icons"
    models.attach(icons, cards.CARD, cards.card_text(models.card(icons) | {"serves": ["image"]}))
    return root


@pytest.mark.parametrize("folder, starter", [("plain", "icons"), ("bright", "emoji")])
def test_drawings_start_from_the_starter_that_has_their_colours(
    folder: str, starter: str, drawing_shop: Path, monkeypatch, tmp_path: Path, septet
):
    monkeypatch.setattr(references, "STARTERS", drawing_shop / "starters")
    monkeypatch.chdir(tmp_path)
    code, said, error = septet("train", "vector", drawing_shop / folder, "--steps", 1, "batch=4", "--out", "mine")
    assert code == 0, error
    assert f"fine-tuning the starter {starter!r}" in said and models.card("mine")["started_from"] == starter
    assert set(models.load("mine").modality.colours or []) == ({"#ff0000", "#00ff00"} if folder == "bright" else set())


def test_drawings_are_pictures_if_pictures_are_asked_for(drawing_shop: Path, monkeypatch, tmp_path: Path, septet):
    monkeypatch.setattr(references, "STARTERS", drawing_shop / "starters")
    for words in (("image", "leaf"), ("emoji", "leaf")):
        code, _, error = septet("generate", *words, "--out", tmp_path / words[0])
        assert code == 0, error
    assert [path.name for path in (tmp_path / "image").iterdir()] == ["icons-0.png"]
    assert [path.name for path in (tmp_path / "emoji").iterdir()] == ["emoji-0.svg"]
