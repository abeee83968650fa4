"""Which lines of a drawn text stand in the training texts."""

import pytest

from septet.data import dataset as data
from septet.data.dataset import Dataset
from septet.modalities.text import Text
from septet.originality.evidence import EVIDENCE, content, gather, lines_marked, load, read
from septet.originality.lines import hashed, items, stand

NAMES = [f"{first}{last}" for first in ("Kar", "Mor", "El") for last in ("wen", "dor", "ith", "a b")]


@pytest.mark.parametrize(
    ("text", "begun", "expected"),
    [
        ("dor\nElwen\n\n Morith \nEl", False, ["Elwen", "Morith"]),
        ("Mordor\nElwen\nKa", True, ["Mordor", "Elwen"]),
        ("Mordor", False, ["Mordor"]),
        ("\n\n", False, []),
    ],
)
def test_items_are_whole_lines(text: str, begun: bool, expected: list[str]):
    assert items(text, begun) == expected


def test_a_line_is_known_whatever_its_case_and_spaces():
    known = hashed(["\n".join(NAMES[:6]), "x" * 500 + "\nElwen\n"])
    asked = ["KARWEN", " kara  b ", "Mordor", "Elwen", "Elith", "x" * 500, "Karwe", ""]
    assert stand(asked, known) == [True, True, True, True, False, True, False, False]
    assert stand([], known) == []


def test_a_line_that_the_split_cut_is_one_line(tmp_path):
    dataset = data.read(["\n".join(NAMES)], Text())
    assert not dataset[0].datum.endswith("\n") and len(dataset.validation) == 1
    (tmp_path / EVIDENCE).write_bytes(content(gather(dataset)))
    assert lines_marked(read(tmp_path, Text()), [*NAMES, dataset[0].datum.rpartition("\n")[2]]) == [True] * 12 + [False]


def test_the_lines_of_few_texts_are_kept_though_nothing_calibrates(tmp_path):
    dataset = Dataset(["\n".join(NAMES), "Elrond\n"], [None, None], ["names.txt", "more.txt"], Text())
    dataset.training, dataset.validation = [0], [1]
    assert lines_marked(read(tmp_path, Text()), ["Karwen"]) is None
    (tmp_path / EVIDENCE).write_bytes(content(gather(dataset)))
    assert load(tmp_path, Text()) is None
    assert lines_marked(read(tmp_path, Text()), ["Karwen", "elrond", "Elronda"]) == [True, True, False]
    assert b"Karwen" not in (tmp_path / EVIDENCE).read_bytes()
