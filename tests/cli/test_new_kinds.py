"""A kind of content that is two files: a modality and a recipe. Nothing else knows of it, and all commands take it."""

import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from installed import installed

from septet import models, recipes
from septet.originality import evidence
from septet.originality.fingerprints import Fingerprints
from septet.storage.references import find_part


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Iterator[Path]:
    """A folder of twelve sounds with captions beside them, while their kind is installed."""
    with installed(Path(__file__).parent / "odd"):
        folder = tmp_path_factory.mktemp("odd") / "noises"
        folder.mkdir()
        stream = np.random.default_rng(0)
        for number in range(12):
            with wave.open(str(folder / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, 100, 0, "NONE", "not compressed"))
                file.writeframes(stream.integers(-30000, 30000, 10 + number % 3).astype(np.int16).tobytes())
            (folder / f"{number}.txt").write_text(("loud", "soft")[number % 2] + " noise")
        yield folder


@pytest.fixture(scope="module")
def trained(sounds: Path) -> Path:
    from septet import runs

    runs.train(sounds, "odd_sound_gpt", sounds.parent / "model", steps=2)
    return sounds.parent / "model"


def test_a_kind_is_known_by_its_recipe(sounds: Path):
    found = recipes.kinds()["odd_sound"]
    assert (found.modality.name, found.recipes, found.default) == ("odd_sound", ("odd_sound_gpt",), "odd_sound_gpt")
    assert recipes.kinds()["image"].default == "image_diffusion" and len(recipes.kinds()["image"].recipes) == 5
    assert find_part("modalities.OddSound") is found.modality


def test_a_recipe_that_lacks_a_package_breaks_no_other(sounds: Path, septet):
    sentence = "recipe lacking_gan needs the package nowhere_to_be_had: pip install nowhere_to_be_had"
    assert recipes.missing() == {"lacking_gan": sentence}
    code, said, _ = septet("recipes")
    assert code == 0 and "odd_sound_gpt" in said and sentence in said
    code, _, error = septet("train", "lacking", sounds)
    assert code == 2 and "odd_sound" in error and sentence in error
    code, _, error = septet("train", sounds, "--recipe", "lacking_gan")
    assert code == 2 and sentence in error


@pytest.mark.parametrize("words", [(), ("--recipe", "odd_sound_gpt"), ("--recipe", "gpt")])
def test_it_is_trained_from_its_folder(words: tuple[str, ...], sounds: Path, septet, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = septet("train", sounds, *words, "--steps", 1, "--out", "mine")
    assert code == 0, error
    card = models.card("mine")
    assert (card["kind"], card["recipe"], card["training"]) == ("odd_sound", "odd_sound_gpt", 11)


def test_its_folder_is_audited(sounds: Path, septet, tmp_path: Path):
    code, said, error = septet("audit", sounds, "--out", tmp_path / "page")
    assert code == 0, error
    assert "12 odd_sound files (12 .wav)" in said and "Captions: 12 from text files" in said
    assert f"septet train odd_sound {sounds}" in said


@pytest.fixture(scope="module")
def tunes(sounds: Path) -> Path:
    folder = sounds.parent / "tunes"
    folder.mkdir()
    stream = np.random.default_rng(0)
    for number in range(60):
        notes = "".join(stream.choice(list("CDEFGABcdefg|"), 40))
        (folder / f"{('reel', 'jig')[number % 2]} {number}.abc").write_text(notes)
    return folder


def test_strings_may_have_captions_and_be_judged_by_spans(tunes: Path, septet, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, error = septet("train", tunes, "--steps", 1, "--out", "mine")
    assert code == 0 and "Captions: 60 from names" in said + error, error
    assert isinstance(evidence.read(Path("mine"), models.load("mine").modality), Fingerprints)
    code, said, error = septet("generate", "mine", "jig", "length=40")
    assert code == 0 and "Not in the training" not in said, error
    [made] = Path("made").glob("*.abc")
    notes = made.read_text().partition("\n")[0]
    assert notes in said  # a string is printed, too
    code, said, _ = septet("check", made)
    assert code == 0 and "the prompt 'jig' and seed 0" in said
    code, said, error = septet("audit", made, "--out", "page")
    assert code == 0 and "gives an identical result" in said, error
    made.write_text(made.read_text().replace(notes[:4], notes[3::-1] + "C", 1))
    code, said, error = septet("audit", made, "--out", "page")
    assert code == 0 and "gives another result" in said, error
    code, said, error = septet("audit", "mine", "--count", 12)
    assert code == 0 and "The longest span copied from training text has" in said, error


def test_starters_are_found_by_their_cards():
    assert [models.starters(kind) for kind in ("text", "code", "vector", "image")] == [
        *(["prose"], ["python"], ["icons"], ["icons"])
    ]
    assert models.starters("odd_sound") == []


def test_pages_and_notebooks_play_it(trained: Path, sounds: Path, septet, tmp_path: Path):
    assert "<audio controls" in models.load(trained).generate("loud noise")[0]._repr_html_()
    code, _, error = septet("audit", sounds, "--out", tmp_path / "page")
    assert code == 0 and (tmp_path / "page" / "index.html").read_text().count("<audio controls") == 12, error
    code, _, error = septet("audit", trained, "--count", 12, "--out", tmp_path / "model")
    assert code == 0 and "<audio controls" in (tmp_path / "model" / "index.html").read_text(), error


def test_it_is_gone_on_from_and_the_given_part_comes_back_exactly(
    trained: Path, sounds: Path, septet, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, _, error = septet("generate", trained, "loud noise", "--given", sounds / "0.wav")
    assert code == 0, error
    sound = models.load(trained).modality
    given, drawn = sound.read(sounds / "0.wav"), sound.read(tmp_path / "made" / "model-0.wav")
    assert len(drawn) >= len(given) and (drawn[: len(given)] == given).all()


def test_where_is_read_by_the_modality(trained: Path, sounds: Path, septet, tmp_path: Path):
    words = ("generate", trained, "--out", tmp_path, "--given", sounds / "0.wav", "--where")
    code, _, error = septet(*words, "the end")
    assert code == 2 and "--where 'the end': expected seconds, such as 0.1-0.2 s" in error
    code, _, error = septet(*words, "0.02-0.05 s")
    assert code == 2 and "only what comes after can be drawn" in error  # its codec has been asked


def test_where_a_file_came_from_is_told_by_its_numbers(trained: Path, septet, tmp_path: Path):
    code, _, error = septet("generate", trained, "soft noise", "--out", tmp_path)
    assert code == 0, error
    [made] = tmp_path.glob("*.wav")
    code, said, error = septet("audit", made, "--model", trained)
    assert code == 0 and "gives an identical result" in said, error
    assert "<audio controls" in (tmp_path / f"{made.stem}-audit" / "index.html").read_text()
    made.write_bytes(made.read_bytes()[:-2] + b"\1\1")
    code, said, error = septet("audit", made, "--model", trained)
    assert code == 0 and "gives another result" in said, error


def test_prompts_and_captions_beyond_the_limit_are_told(trained: Path, sounds: Path, septet, tmp_path: Path):
    code, said, error = septet("generate", trained, "loud " * 40 + "noise", "--out", tmp_path / "made")
    assert code == 0 and "Ignored, since the prompt is longer than the model's limit: loud, noise." in said, error
    shutil.copytree(sounds, tmp_path / "noises")
    (tmp_path / "noises" / "3.txt").write_text("loud " * 80)
    code, said, error = septet("train", tmp_path / "noises", "--steps", 1, "--out", tmp_path / "mine")
    assert code == 0 and "1 prompts are longer than the model's limit; their ends are ignored." in said + error, error
