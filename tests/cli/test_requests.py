"""The rows of a CSV of prompts: read whole or refused, each with a file name of its own."""

import random
from pathlib import Path

import pytest

from septet.cli import prompts
from septet.cli.prompts import Row
from septet.space import Refusal


class Counted(Path().__class__):
    """A folder that counts the names that are tried in it."""

    tried = 0

    def __truediv__(self, name):
        Counted.tried += 1
        return Path(str(self)) / name


def named(rows: list[Row]) -> list[str]:
    Counted.tried = 0
    found = prompts._named(rows, Counted("made"), ".png", "model")
    return [str(row.path) for row in found]


def by_trying(rows: list[Row]) -> list[str]:
    """The first free name of each, looked for from the beginning."""
    taken: dict[str, Row] = {}
    for row in rows:
        for repeat in range(1, len(rows) + 1):
            path = f"made/{row.name}-{row.seed}{'' if repeat == 1 else f'-{repeat}'}.png"
            there = taken.setdefault(path, row)
            if (there.prompt, there.name) == (row.prompt, row.name):
                break
    return list(taken)


def test_names_are_the_first_free_ones():
    stream = random.Random(0)
    names = ["a", "a-1", "a-1-2", "b"]
    for _ in range(50):
        rows = [Row(str(stream.randrange(4)), stream.randrange(1, 4), name=stream.choice(names)) for _ in range(40)]
        assert named(rows) == by_trying(rows)


def test_rows_that_share_name_and_seed_are_named_without_trying_all_before():
    rows = [Row(str(number), 0, name="same") for number in range(2000)]
    rows += [Row("other", number, name="same-0") for number in range(2000)]
    assert len(set(named(rows))) == 4000
    assert Counted.tried <= 3 * len(rows)


@pytest.mark.parametrize(
    "text, said",
    [
        ("prompt,name\na red, big jug,jug\n", "row 1 has more fields than there are columns"),
        ('prompt,name\n"a jug,jug\na cup,cup\n', "cannot be read as CSV"),
        ('prompt\n"' + "x" * 200_000 + '"\n', "cannot be read as CSV"),
    ],
)
def test_a_table_that_would_be_misread_is_refused(text: str, said: str, tmp_path: Path):
    (tmp_path / "wanted.csv").write_text(text)
    with pytest.raises(Refusal, match=said):
        prompts._lines(tmp_path / "wanted.csv")
