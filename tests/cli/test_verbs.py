"""What a person asks of a model on the command line: many prompts, given content, going on after an interruption."""

import builtins
import csv
import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from talkers import talker

from septet import models, runs
from septet.cli.app import main

TINY: dict[str, Any] = {"width": 32, "layers": 1, "batch": 4}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> dict[str, Path]:
    """Pictures, a painter trained on them, and a writer that fills gaps."""
    root = tmp_path_factory.mktemp("shop")
    (root / "pictures").mkdir()
    stream = np.random.default_rng(0)
    for number in range(10):
        pixels = stream.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / f"{('red', 'blue')[number % 2]} apple-{number}.png")
    (root / "prose.txt").write_text("the cat sat on the mat. the dog ran to the sea. " * 40)
    runs.train(root / "pictures", "image_diffusion", root / "painter", steps=1, size=8, **TINY)
    runs.train(root / "prose.txt", "text_bert", root / "writer", steps=1, tokens="characters", length=32, **TINY)
    return {"pictures": root / "pictures", "painter": root / "painter", "writer": root / "writer"}


@pytest.fixture
def said(capsys, tmp_path: Path, monkeypatch) -> Callable[..., str]:
    """Runs a command line in an empty folder; gives what it says."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        written = capsys.readouterr()
        assert not ended.value.code, written.err
        return written.out

    return run


def sheet(path: Path, rows: list[dict[str, object]]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "name", "count", "seed"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_prompts_of_a_file_go_on_and_are_never_overwritten(said, shop, tmp_path: Path):
    rows = [
        {"prompt": "red apple", "count": 2, "seed": 4},
        {"prompt": "blue apple", "name": "berry"},
        {"prompt": "red/apple"},  # the same file name as the first but for its seed
        {"prompt": "red apple", "seed": 0},  # and now the same name
        {"prompt": "blue apple", "name": "berry"},  # asked for twice
    ]
    table = sheet(tmp_path / "wanted.csv", rows)
    expected = ["berry-0.png", "red-apple-0-2.png", "red-apple-0.png", "red-apple-4.png", "red-apple-5.png"]
    said("generate", shop["painter"], "--prompts", table, "--out", "made")
    made = tmp_path / "made"
    assert sorted(p.name for p in made.iterdir()) == expected
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    (made / "red-apple-5.png").unlink()
    (made / "berry-0.png").write_bytes(b"mine")
    assert "4 of 5 files exist already" in said("generate", shop["painter"], "--prompts", table, "--out", "made")
    assert sorted(p.name for p in made.iterdir()) == expected
    assert (made / "berry-0.png").read_bytes() == b"mine"
    first, again = (np.asarray(Image.open(p)) for p in (made / "red-apple-4.png", made / "red-apple-5.png"))
    assert first.shape == again.shape and before["red-apple-0.png"] == (made / "red-apple-0.png").read_bytes()
    assert "nothing new" in said("generate", shop["painter"], "--prompts", table, "--out", "made")


def test_a_name_that_is_taken_gets_a_number(said, shop, tmp_path: Path):
    for _ in range(2):
        said("generate", shop["painter"], "red apple")
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == ["painter-0-2.png", "painter-0.png"]


def test_words_that_training_never_saw_are_named(said, shop):
    told = said("generate", shop["painter"], "a red zeppelin on an apple")
    assert "Not in the training data: zeppelin." in told  # and no word of "a", "on" and "an"
    assert "Not in the training" not in said("generate", shop["painter"], "red apple")
    assert "Not in the training data: Z." in said("generate", shop["writer"], "the cZat")


def test_the_next_command_is_ready_to_be_run(said, shop):
    told = said("generate", "image", "it's red", "--model", shop["painter"], "--count", 2, "--seed", 3)
    following = told.split("Next: ")[1].strip()
    assert following == f"septet generate image 'it'\"'\"'s red' --seed 5 --model {shop['painter']}"
    folder = shop["painter"].with_name("a painter")
    folder.symlink_to(shop["painter"])
    assert f"Next: septet generate '{folder}' --seed 1" in said("generate", folder)
    assert f"Next: septet generate '{folder}'\n" in said("show", folder)
    told = said(
        "train", "image", shop["pictures"], "--steps", 1, "--out", "my painter", "size=8", "width=32", "layers=1"
    )
    assert "Next: septet generate 'my painter' " in told


def test_a_picture_is_filled_in(said, shop, tmp_path: Path):
    given = next(shop["pictures"].iterdir())
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 255  # to be drawn anew
    Image.fromarray(mask).save(tmp_path / "mask.png")
    said("generate", shop["painter"], "--image", given, "--mask", "mask.png")
    drawn, kept = np.asarray(Image.open(tmp_path / "made/painter-0.png"))[..., :3], np.asarray(Image.open(given))
    assert np.array_equal(drawn[:, :4], kept[:, :4]) and not np.array_equal(drawn, kept)
    said("generate", shop["painter"], "--given", given, "--where", "4,0,4,8", "--out", "boxed")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "boxed/painter-0.png"))[..., :3], drawn)


@pytest.mark.parametrize(
    "option", [["--image", "GIVEN", "--strength", 0.3], ["--like", "GIVEN"]], ids=["image", "like"]
)
def test_a_picture_is_varied(option: list, said, shop, tmp_path: Path):
    given = next(shop["pictures"].iterdir())
    said("generate", shop["painter"], *(given if word == "GIVEN" else word for word in option), "--count", 2)
    drawn = [Image.open(path).tobytes() for path in sorted((tmp_path / "made").iterdir())]
    assert len(drawn) == 2 and drawn[0] != drawn[1]


def test_a_text_is_gone_on_with_and_filled(said, shop, tmp_path: Path):
    assert "the cat" in said("generate", shop["writer"], "the cat")
    told = said("generate", shop["writer"], "the [gap]mat.", "--seed", 9)
    assert told.startswith("the ") and "mat.\n" in told
    record = json.loads((tmp_path / "made/writer-9.txt.json").read_text())
    assert record["seed"] == 9 and record["model_sha256"] == models.digest(shop["writer"])


def test_the_lines_of_texts_are_marked(said, tmp_path: Path):
    names = ["".join(parts) for parts in itertools.product("KMTV", "aeio", "lnrs")][::3]
    (tmp_path / "names.txt").write_text("\n".join(names * 3) + "\n")
    small = ["tokens=characters", "length=64", "batch=8", "width=32", "layers=1", "rate=0.03"]
    said("train", "text", "names.txt", *small, "--steps", 60, "--out", "names")
    told = said("generate", "names", "lines=yes", "--count", 4)
    known = set(names)
    marks = dict(line.rsplit("  ", 1)[::-1] for line in told.splitlines() if line.startswith(("new", "in your data")))
    assert {name for name, mark in marks.items() if "data" in mark} == known & set(marks)
    assert known & set(marks) and set(marks) - known
    assert "is not known" in said("generate", "prose", "Once", "length=40", "lines=yes")


def test_a_run_is_resumed_by_its_folder_alone(said, shop, tmp_path: Path):
    words: dict[str, Any] = {"source": shop["pictures"], "recipe": "image_diffusion", "out": tmp_path / "mine"}
    run = iter(runs.Run(**words, steps=6, seed=3, checkpoint_seconds=0.0, size=8, **TINY))
    while not ((progress := next(run)).step and progress.step.step == 3):
        pass
    del run, progress
    told = said("train", "image", shop["pictures"], "--resume", "--out", "mine")
    assert "6 steps" in told
    assert models.card(tmp_path / "mine")["seed"] == 3
    runs.train(shop["pictures"], "image_diffusion", tmp_path / "whole", steps=6, seed=3, size=8, **TINY)
    assert models.digest(tmp_path / "whole") == models.digest(tmp_path / "mine")


def test_the_command_line_loads_nothing_heavy():
    code = "import sys, septet.cli.app; print(sorted({'torch', 'numpy', 'PIL', 'tokenizers'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["recipes"], ["models"]], ids=lambda words: " ".join(words) or "nothing"
)
def test_septet_tells_what_it_can_do(words: list[str], said):
    told = said(*words)
    assert ("image_diffusion" if words == ["recipes"] else "models" if words == ["models"] else "train") in told


def test_an_interpolation_ends_at_both_prompts_and_seeds(said, shop, tmp_path: Path):
    settings = ("--tile", "1", "--steps", "2", "--guidance", "1")
    way = ("--to", "blue apple", "--to-seed", "9")
    text = said(
        "generate", shop["painter"], "red apple", *way, "--count", "3", "--seed", "4", *settings, "--out", "way"
    )
    assert "way/painter-4-strip.png" in text
    with Image.open("way/painter-4-strip.png") as strip:
        assert len(json.loads(strip.info["septet"])["strip"]) == 3
    painter = models.load(shop["painter"])
    ends = [
        painter.generate(p, seed=s, steps=2, guidance=1.0)[0].datum for p, s in (("red apple", 4), ("blue apple", 9))
    ]
    for name, end in zip(("painter-4.png", "painter-4-3.png"), ends, strict=True):
        drawn = np.asarray(Image.open(Path("way") / name)).astype(int)
        assert np.abs(drawn - end).max() <= 2


@pytest.fixture
def talks(tmp_path: Path, monkeypatch) -> Path:
    """A model that converses, in an otherwise empty folder."""
    monkeypatch.chdir(tmp_path)
    return models.save(talker(256), tmp_path / "talker", card={})


@pytest.mark.parametrize("ending", [EOFError, KeyboardInterrupt, OSError])
def test_what_was_said_is_kept_however_a_conversation_ends(ending: type[BaseException], talks: Path, monkeypatch):
    lines = iter(["hey"])

    def read(prompt: str) -> str:
        if (line := next(lines, None)) is None:
            raise ending
        return line

    monkeypatch.setattr(builtins, "input", read)
    with pytest.raises(OSError if ending is OSError else SystemExit) as ended:
        main(["chat", "length=9", "--model", str(talks), "--save", "talks/monday.json"])
    assert ending is OSError or not getattr(ended.value, "code", None)
    said, answered = json.loads(Path("talks/monday.json").read_text())["messages"]
    assert said == {"role": "user", "content": "hey"} and answered["content"]


def test_lines_that_are_no_utf_8_are_answered(talks: Path, monkeypatch, septet):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\nhey\n"), encoding="utf-8"))
    code, told, error = septet("chat", "--model", talks, "--length", 5, "--save", "chat.json")
    assert code == 0 and "2 answers" in told, error
    assert json.loads(Path("chat.json").read_text())["messages"][0]["content"] == "caf\ufffd"


@pytest.mark.parametrize(
    "word", ["seed=3", "said=x", "stop=END", "guidance=2", "length=long", "length=0", "temperature=-1", "top_k=many"]
)
def test_a_word_that_no_answer_can_go_by_is_refused(word: str, talks: Path, septet):
    code, told, error = septet("chat", word, "--model", talks, "--save", "talks/monday.json")
    assert code == 2 and error.startswith("septet: ") and error.count("\n") == 1 and word in error
    assert not told and not Path("talks").exists()


def test_a_conversation_that_could_not_be_kept_is_not_begun(talks: Path, septet):
    code, _, error = septet("chat", "--model", talks, "--save", talks)
    assert code == 2 and "is a folder; name a file in it" in error
