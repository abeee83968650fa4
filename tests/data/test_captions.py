"""Captions from text files, metadata tables and names."""

import csv
import os
from pathlib import Path

import pytest

from septet.data.captions import CAPTION_BYTES, Captions, from_names, table, words
from septet.space import Refusal


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("weapons/iron_sword-02.png", "weapons, iron sword"),
        ("a red apple.png", "a red apple"),
        ("IronSword.png", "iron sword"),
        ("user-plus.svg", "user plus"),
        ("file.png", "file"),
        ("größe/日本_01.png", "größe, 日本"),
        ("cats/IMG_1234.jpg", "cats"),
        ("cats/DSC0001.jpg", "cats"),
        ("IMG_1234.jpg", None),
        ("photo (12).jpg", None),
        ("00017.png", None),
        ("cats/d41d8cd98f00b204e9800998ecf8427e.png", "cats"),
        ("0b9d7f6e-7c1a-4f3e-9a52-9e1d2c3b4a5f.png", None),
        ("train/cats/frame_0012.png", "cats"),
        ("7/00012.png", "7"),
        ("sword@2x.png", "sword"),
        ("sword_32x32.png", "sword"),
        ("icons/icons.png", "icons"),
    ],
)
def test_names_become_captions(name: str, caption: str | None):
    assert from_names(Path(name)) == caption


def test_an_undecodable_name_makes_a_clean_caption():
    caption = from_names(Path(os.fsdecode(b"caf\xe9_cup.png")))
    assert caption == "caf cup" and caption.encode()
    assert words("12_34") == ""


def test_a_text_beside_comes_before_metadata_and_that_before_names(tmp_path: Path):
    for name in ("beside.png", "listed.png", "named_cup.png", "sub/deep.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "beside.txt").write_bytes(b"\xef\xbb\xbf a  cup\r\n of tea ")
    rows = ["beside.png,no", "listed.png,a jug", "sub/deep.png,deep water"]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,text", *rows]))
    captions = Captions(tmp_path)
    found = [captions.of(tmp_path / n) for n in ("beside.png", "listed.png", "named_cup.png", "sub/deep.png")]
    assert found == ["a cup of tea", "a jug", "named cup", "deep water"]
    assert captions.sentence() == "Captions: 1 from text files, 2 from metadata, 1 from names."


def test_attribute_columns_give_a_dict(tmp_path: Path):
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "colour": "red", "count": 3, "box": [1, 2], "note": null}\n\n{"file_name": "b.png"}\n'
    )
    prompts, unusable, _ = table(tmp_path / "metadata.jsonl")
    assert prompts == {"a.png": {"colour": "red", "count": "3"}, "b.png": None} and unusable == 0


def test_a_table_in_a_subfolder_speaks_for_it(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").touch()
    (tmp_path / "sub" / "metadata.csv").write_text('file_name,text\na.png,"one, two"\n')
    assert Captions(tmp_path).of(tmp_path / "sub" / "a.png") == "one, two"


@pytest.mark.hostile
def test_broken_rows_are_counted(tmp_path: Path):
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "text": "yes"}\n{broken\n[1]\n' + "[" * 100_000 + "\n"
    )
    captions = Captions(tmp_path)
    assert captions.of(tmp_path / "a.png") == "yes"
    assert captions.remarks[0].startswith("3 rows of") and captions.remarks[0].endswith(
        "metadata.jsonl could not be used."
    )


@pytest.mark.hostile
def test_hostile_tables_are_refused(tmp_path: Path):
    path = tmp_path / "metadata.csv"
    path.write_text("file_name," + ",".join(map(str, range(100_000))) + "\n")
    with pytest.raises(Refusal, match="more than 1000 columns"):
        table(path)
    path.write_bytes(b"\0\1\2")
    with pytest.raises(Refusal, match="binary"):
        table(path)
    path.write_text('file_name,text\na.png,"never closed\nb.png,a jug\nc.png,a cup\n')
    with pytest.raises(Refusal, match="metadata.csv: the quotation mark that opens in line 2 is never closed"):
        table(path)


def test_a_long_caption_takes_no_other_row_away(tmp_path: Path):
    path, limit = tmp_path / "metadata.csv", csv.field_size_limit()
    path.write_text('file_name,text\na.png,"' + "x" * 200_000 + '"\nb.png,a jug\n')
    prompts, unusable, _ = table(path)
    assert list(prompts) == ["a.png", "b.png"] and prompts["b.png"] == "a jug" and unusable == 0
    assert prompts["a.png"] == "x" * 200_000
    path.write_text('file_name,text\na.png,"' + "x\n" * CAPTION_BYTES + '"\nb.png,a jug\n')
    assert table(path)[:2] == ({"b.png": "a jug"}, 1)
    assert csv.field_size_limit() == limit  # which is the whole process's


def test_rows_of_a_table_are_used_or_counted(tmp_path: Path):
    path = tmp_path / "metadata.csv"
    path.write_bytes(b"file_name,text\ra.png,a jug\rb.png,a cup\r")  # lines as they once ended on the Macintosh
    assert table(path)[:2] == ({"a.png": "a jug", "b.png": "a cup"}, 0)
    path.write_text('file_name,text\na.png,"a" jug\nb.png,a big, red jug\nc.png,a 5" jug,\nd.png,"a ""big"" jug"\n')
    assert table(path)[:2] == ({"c.png": 'a 5" jug', "d.png": 'a "big" jug'}, 2)
