"""septet demo: what the starters make, on a page that opens from the disk."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from counting import Clock
from PIL import Image
from talkers import talker

from septet import models
from septet.cli import demo_pictures
from septet.cli import gallery as page_of
from septet.cli.app import main
from septet.cli.gallery import FACE, MOUTH, QUESTION, REAL

SHIPPED = models.starters()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    models.save(talker(512), folder / "talker", card={})
    with pytest.MonkeyPatch.context() as patch:
        Clock(patch, look=0.2)  # a few steps
        patch.setattr(page_of, "MODEL", str(folder / "talker"))
        with pytest.raises(SystemExit) as ended:
            main(["demo", "--out", str(folder / "gallery"), "--budget", "10s"])
    assert not ended.value.code
    return folder / "gallery"


def sections(folder: Path) -> dict[str, str]:
    """The page's sections by their titles."""
    parts = re.split(r"<h2>(.*?)</h2>", (folder / "index.html").read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.skipif("icons" not in SHIPPED, reason="the starter icons is not in this checkout")
def test_it_shows_sixteen_icons_and_one_finished_in_several_ways(gallery: Path):
    found = sections(gallery)
    icons, finished = (
        found[title] for title in ("Icons, one for each of sixteen prompts", "An icon continued from its first half")
    )
    assert icons.count('.svg"') == 16 and finished.count('.svg"') == 4
    assert found["Interpolation from bell, outline to clock, outline"].count('.svg"') == 8


def test_it_shows_emoji_by_a_model_trained_on_the_spot_and_one_painted_in(gallery: Path):
    found = sections(gallery)
    learned, emoji, painted = (
        next(found[t] for t in found if word in t) for word in ("that a model is trained on", "Emoji", "Inpainting")
    )
    assert [part.count('.png"') for part in (learned, emoji, painted)] == [8, 8, 4]
    face, moods = (
        np.asarray(demo_pictures.face(FACE)),
        [np.asarray(Image.open(gallery / name)) for name in shown(painted)],
    )
    assert all((mood[:MOUTH] == face[:MOUTH]).all() and (mood != face).any() for mood in moods)


def test_no_picture_it_learns_from_shows_what_it_is_asked_for(gallery: Path):
    captions = {path.stem.rpartition("-")[0] for path in (gallery / "faces").glob("*.png")}
    words = {word for caption in captions for word in caption.split(", ")}
    assert not captions & set(demo_pictures.ASKED)
    assert all(word in words for asked in demo_pictures.ASKED for word in asked.split(", "))


@pytest.mark.skipif("prose" not in SHIPPED, reason="the starter prose is not in this checkout")
def test_it_shows_a_text(gallery: Path):
    text = html.unescape(re.findall(r"<pre style[^>]*>(.*?)</pre>", sections(gallery)["A text"], re.S)[0])
    assert text.startswith("It was a bright morning, and ") and len(text) > 200


@pytest.mark.skipif("python" not in SHIPPED, reason="the starter python is not in this checkout")
def test_it_shows_a_completed_function(gallery: Path):
    code = html.unescape(
        re.findall(r"<pre style[^>]*>(.*?)</pre>", sections(gallery)["A function completed, as in an editor"], re.S)[0]
    )
    assert code.startswith(page_of.BEFORE) and code.endswith(page_of.AFTER)
    assert code.removeprefix(page_of.BEFORE).startswith("self.length_metres = length_metres")


def test_it_shows_an_answer_with_its_record(gallery: Path):
    answer = sections(gallery)["An answer by talker"]
    record = json.loads(html.unescape(re.findall(r"<pre>(\{.*?\})</pre>", answer, re.S)[0]))
    assert record["prompt"] == QUESTION and record["settings"]["temperature"] == 0


def test_without_a_network_it_says_that_the_answer_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(page_of, "MODEL", "pypi:unheard-of")
    assert list(page_of._answered()) == []
    assert "The gallery has no chat answer: " in capsys.readouterr().out


@pytest.mark.skipif(not SHIPPED, reason="no starter is in this checkout")
def test_every_file_is_there_with_its_record_and_nothing_is_fetched(gallery: Path):
    page = (gallery / "index.html").read_text()
    names = shown(page)
    assert len(set(names)) == len(names) and all((gallery / name).exists() for name in names)
    records = [json.loads(html.unescape(text)) for text in re.findall(r"<pre>(\{.*?\})</pre>", page, re.S)]
    assert len(records) + REAL == page.count("<figure>")
    assert {record["model"] for record in records} == {*SHIPPED, "faces-model", "talker"}
    assert not re.search(r"https?://", page)


def shown(page: str) -> list[str]:
    return re.findall(r'(?:<a href|<img src)="(?!data:)([^"]+)"', page)
