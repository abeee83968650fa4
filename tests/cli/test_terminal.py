"""Whatever a file, a name or a model says, nothing that it holds steers the terminal."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from talkers import talker

from septet import models, runs
from septet.cli import terminal

STEERS = "\x1b[2J\x1b]0;owned\x07\x9b31m\x08\x7f\r\u202e\u2066\u2028"


def steering(text: str) -> set[str]:
    """The characters of a text that a terminal obeys, but for tabs and ends of lines."""
    return {c for c in text if c not in "\t\n" and not c.isprintable()} - {"\u200d", "\xa0"}


@pytest.fixture
def plain(septet, tmp_path: Path, monkeypatch) -> Callable[..., str]:
    """Runs a command line in an empty folder; all it says, which steers nothing."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object, code: int = 0) -> str:
        ended, out, error = septet(*words)
        assert ended == code, error
        assert not steering(out + error)
        return out + error

    return run


def test_what_steers_a_terminal_is_replaced_and_all_else_stays():
    kept = "a\tb\nc — é 日本 👩‍👧 שלום\xa0\u200f"
    assert terminal.visible(kept) == kept
    assert terminal.visible("one\r\ntwo\r\n") == "one\ntwo\n"
    assert terminal.visible(STEERS) == "\ufffd[2J\ufffd]0;owned\ufffd\ufffd31m" + "\ufffd" * 6
    assert terminal.visible("\udcff") == "\ufffd"


def test_a_stream_that_knows_few_characters_gets_those_it_knows(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    terminal.tell("caf\xe9\x1b[2J")
    assert written.getvalue() == b"caf??[2J\n"


def test_a_record_that_steers(plain):
    record = {"septet": STEERS, "model": STEERS, "model_sha256": STEERS, "prompt": STEERS, "seed": 0, "settings": {}}
    for changed in ({}, {"settings": {"tile": STEERS}}, {"seed": STEERS}):
        chunks = PngInfo()
        chunks.add_text("septet", json.dumps(record | changed))
        Image.new("RGB", (8, 8)).save("foreign.png", pnginfo=chunks)
        assert "foreign.png" in plain("check", "foreign.png", code=2 if changed else 0)
        plain("audit", "foreign.png", code=2)
    assert plain("check", "foreign.png", code=2).count("\n") == 1


def test_names_and_captions_that_steer(plain):
    folder = Path("pictures" + STEERS)
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number}{STEERS}[bold].png")
        (folder / f"{number}{STEERS}[bold].txt").write_text(f"{'red' if number % 2 else 'blue'}{STEERS}")
    (folder / "odd[").mkdir()
    (folder / "odd[" / f"bad{STEERS}].png").write_text("no picture")
    assert "bad" in plain("audit", folder)
    tiny = ("size=8", "width=32", "layers=1", "--steps", 1, "--from", "nothing", "--out", "models/" + STEERS)
    assert "bad" in plain("train", "image", folder, *tiny) and (Path("models") / STEERS).is_dir()
    assert "\ufffd" in plain("models")
    made = plain("generate", "models/" + STEERS, "red" + STEERS, "--out", "made" + STEERS)
    assert "Made made\ufffd" in made and list(Path("made" + STEERS).iterdir())
    plain("audit", "models/" + STEERS, "--count", 2)
    card = Path("models") / STEERS / models.CARD
    models.attach(card.parent, models.CARD, card.read_text() + STEERS)
    before = card.read_bytes()
    assert "[2J" in plain("show", "models/" + STEERS)
    assert card.read_bytes() == before


def test_a_name_that_is_no_text(plain):
    assert "no model" in plain("show", os.fsdecode(b"\xff\x1b[2J"), code=2)


def test_a_text_that_steers_is_shown_plain_and_written_whole(plain, tmp_path: Path):
    Path("tale.txt").write_text("once upon a time\n" * 60)
    tiny: dict[str, Any] = {"tokens": "bytes", "length": 64, "width": 32, "layers": 1, "batch": 4}
    runs.train("tale.txt", "text_gpt", tmp_path / "teller", steps=1, **tiny)
    told = plain("generate", "teller", f"once\t{STEERS}upon\n", "length=60")
    assert told.startswith("once\t\ufffd[2J") and "upon\n" in told
    assert STEERS in next(Path("made").glob("*.txt")).read_bytes().decode(errors="replace")
    plain("generate", "teller", f"once\t{STEERS}upon\n", "length=60", "lines=yes")


def test_an_answer_that_steers(plain, tmp_path: Path, monkeypatch):
    model = talker(256)
    models.save(model, tmp_path / "talker", card={})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hey\nyou\n"), encoding="utf-8"))
    told = plain("chat", "--model", "talker", "--length", 100, "--save", "chat.json")
    said = [m["content"] for m in json.loads(Path("chat.json").read_text())["messages"] if m["role"] == "assistant"]
    assert any(map(steering, said)) and "2 answers" in told
    assert terminal.visible(said[0]) in told
