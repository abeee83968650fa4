"""`septet audit FOLDER`: what data hold, told and shown."""

import json
from pathlib import Path

import pytest
from PIL import Image as Pillow
from synthetic import pictures, text

from septet.data import survey
from septet.data.dataset import Dataset, read
from septet.modalities.image import Image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty pictures, one of them twice and one nearly, a broken file, a licence and a stray text."""
    (tmp_path / "shapes" / "rare").mkdir(parents=True)
    for number, picture in enumerate(pictures(60, 1)):
        Pillow.fromarray(picture).save(tmp_path / "shapes" / f"{'red' if number % 10 else 'odd blue'}-{number}.png")
    first = Pillow.open(tmp_path / "shapes" / "red-1.png")
    first.save(tmp_path / "shapes" / "red-99.webp", lossless=True, exact=True)
    first.convert("RGB").save(tmp_path / "shapes" / "rare" / "near.jpg", quality=90)
    (tmp_path / "shapes" / "red-100.png").write_bytes(b"\x89PNG broken")
    (tmp_path / "shapes" / "LICENSE.md").write_text("\n\nCC0 1.0 Universal\nmore")
    (tmp_path / "shapes" / "notes.txt").write_text("a note")
    return tmp_path / "shapes"


def test_a_folder_is_told_and_shown(folder, septet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, error = septet("audit", folder, "--out", "page")
    assert code == 0, error
    report = json.loads(Path("page/report.json").read_text())
    page = Path("page/index.html").read_text()
    assert "Besides 63 image files there are 1 text files" in said
    assert "1 of 63 could not be read" in said and "1 exact duplicates were dropped" in said
    assert "2 items have near duplicates" in said and "LICENSE.md (CC0 1.0 Universal)" in said
    assert report["copies"]["figures"] == [["red-99.webp", "red-1.png"]]
    assert sorted(report["twins"]["figures"][0]) == ["rare/near.jpg", "red-1.png"]
    assert report["words"]["figures"]["frequent"][0] == ["red", 54]
    assert report["balance_label"]["figures"]["odd blue"] == 6
    assert report["items"]["figures"]["sizes"]["pixels across"]["largest"] == 24
    assert "red-100.png: " in page and page.count("data:image/png;base64,") >= 26
    assert "://" not in page and "Next: septet train image" in said


def test_captions_beside_pictures_are_no_texts(septet, tmp_path):
    (tmp_path / "data").mkdir()
    for number, picture in enumerate(pictures(5, 1)):
        Pillow.fromarray(picture).save(tmp_path / "data" / f"{number}.png")
        (tmp_path / "data" / f"{number}.txt").write_text(f"a red fox {number}")
    (tmp_path / "data" / "README.md").write_text("about")
    (tmp_path / "data" / "copyright.svg").write_text("<svg/>")
    code, said, error = septet("audit", tmp_path / "data", "--out", tmp_path / "page")
    assert code == 0, error
    assert "5 image files" in said and " text files:" not in said and "No licence file" in said


def test_texts_have_sizes_and_no_words(tmp_path, septet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tales").mkdir()
    for number in range(3):
        (tmp_path / "tales" / f"{number}.txt").write_text(text(20 + number, number))
    code, said, _ = septet("audit", "tales")
    assert code == 0 and "Made made/tales-audit/index.html" in said
    report = json.loads(Path("made/tales-audit/report.json").read_text())
    assert report["items"]["figures"]["sizes"]["characters"]["smallest"] > 500 and "words" not in report


@pytest.mark.parametrize(
    "names, expected",
    [([], "is empty"), (["a.exe", "b.exe"], "holds nothing to train on (2 .exe)")],
)
def test_folders_that_hold_nothing(names, expected, tmp_path, septet):
    (tmp_path / "data").mkdir()
    for name in names:
        (tmp_path / "data" / name).write_bytes(b"x")
    code, _, error = septet("audit", tmp_path / "data")
    assert code == 2 and (expected in error or "holds nothing" in error) and error.count("\n") == 1


def test_attributes_are_counted_and_unevenness_is_said():
    prompts = [{"colour": "red", "shape": "round"}] * 30 + [{"colour": "blue", "shape": "square"}] * 2
    dataset = read((pictures(32, 1), prompts), Image(16))
    figures = survey.survey(dataset)
    assert figures["balance"] == {"colour": {"red": 30, "blue": 2}, "shape": {"round": 30, "square": 2}}
    assert any(
        "30 of 'red' down to 2 of 'blue'; a model will generate the rare ones" in s for s in survey.sentences(figures)
    )
    assert list(survey.sentences(survey.survey(Dataset([], [], [], Image(16))))) == []
