"""septet demo: what the starters make, on a page that opens from the disk."""

import html
import json
import re
from pathlib import Path

import pytest

from septet import models
from septet.cli import main
from septet.modalities.vector import Vector

SHIPPED = models.starters()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "gallery"
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--out", str(folder)])
    assert not ended.value.code
    return folder


def sections(folder: Path) -> dict[str, str]:
    """The page's sections by their titles."""
    parts = re.split(r"<h2>(.*?)</h2>", (folder / "index.html").read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.skipif("icons" not in SHIPPED, reason="the starter icons is not in this checkout")
def test_it_shows_sixteen_icons_and_one_finished_in_several_ways(gallery: Path):
    found = sections(gallery)
    icons, finished = (
        found[title] for title in ("Icons, one for each of sixteen prompts", "An icon finished from its first half")
    )
    assert icons.count('.svg"') == 16 and finished.count('.svg"') == 4
    assert found["Interpolation from bell, outline to clock, outline"].count('.svg"') == 8


@pytest.mark.skipif("emoji" not in SHIPPED, reason="the starter emoji is not in this checkout")
def test_it_shows_emoji_and_one_painted_in(gallery: Path):
    found = sections(gallery)
    emoji, painted = found["Emoji, one for each of eight prompts"], found[next(t for t in found if "In-painting" in t)]
    assert (emoji.count('.svg"'), painted.count('.svg"')) == (8, 4)
    face, *moods = (Vector(palette=8).read(gallery / name) for name in (shown(emoji)[2], *shown(painted)))
    assert all(mood.figures[0] == face.figures[0] for mood in moods) and len(set(moods)) > 1


@pytest.mark.skipif("prose" not in SHIPPED, reason="the starter prose is not in this checkout")
def test_it_shows_a_text(gallery: Path):
    text = html.unescape(re.findall(r"<pre>(.*?)</pre>", sections(gallery)["A text"], re.S)[0])
    assert text.startswith("It was a bright morning, and ") and len(text) > 200


@pytest.mark.skipif(not SHIPPED, reason="no starter is in this checkout")
def test_every_file_is_there_with_its_record_and_nothing_is_fetched(gallery: Path):
    page = (gallery / "index.html").read_text()
    names = shown(page)
    assert len(set(names)) == len(names) and all((gallery / name).exists() for name in names)
    records = [json.loads(html.unescape(text)) for text in re.findall(r"<pre>(\{.*?\})</pre>", page, re.S)]
    assert len(records) == page.count("<figure>") and {record["model"] for record in records} == set(SHIPPED)
    assert not re.search(r"https?://", page)


def shown(page: str) -> list[str]:
    return re.findall(r'<img src="([^"]+)"', page)
