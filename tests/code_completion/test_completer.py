"""What is offered at a cursor: how far it goes, where it stops, and when nothing is said."""

from pathlib import Path

import pytest
import torch
from coder import SOURCE, completer, drawn, untaught

from septet.code_completion import Completer, Completion, project
from septet.code_completion.drawing import Drawing
from septet.recipes.text_gpt import text_gpt
from septet.space import Refusal

NAMES = ["a.py", "src/new.py", "build/b.py", "src/my_local.py", ".hidden/c.py", "src/.d.py", "notes.txt"]
BEFORE, AFTER = SOURCE.split("self.draught_of(boat) <")


@pytest.fixture(scope="module")
def taught():
    """A completer whose project says the line already."""
    return completer(harbour=SOURCE)


def test_the_projects_line_is_completed(taught):
    assert drawn(taught, BEFORE + "self.draught_of(boat)") == " < self.depth_metres"


def test_a_name_is_completed_from_its_middle(taught):
    assert drawn(taught, "    return boat.draught_me").startswith("tres * math.sqrt(boat.load_tonnes)")


def test_nothing_is_said_rather_than_nonsense(taught):
    assert taught.complete("zebra = quagga", "\n", floor=0.9) is None


def test_the_file_at_hand_counts_and_its_gap_does_not():
    own = completer()
    before = "voyages = count_voyages(harbour)\nboats = 3\nvoyages = "
    assert drawn(own, before, "\n", "mine.py").startswith("count_voyages(harbour)")
    assert own.index is not None and own.index.files["mine.py"] == before.rpartition("voyages")[0]


def test_a_secret_in_the_file_at_hand_is_not_for_other_files():
    own = completer()
    own.complete('API_KEY = "Zq8vLw2PxR7tY4nKbM5c"\nboats = 3\n', "\nharbour = 4\n", "settings.py", floor=0.0)
    assert own.index is not None and own.index.files["settings.py"] == "boats = 3\nharbour = 4\n"


def test_what_a_repository_would_not_hold_is_not_put_into_its_index(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / ".gitignore").write_text("build/\n*_local.py\n")
    held = [name for name in NAMES if project.holds(tmp_path, tmp_path / name)]
    assert held == ["a.py", "src/new.py"]
    assert not project.holds(tmp_path / "src", tmp_path / "a.py")


def test_what_a_link_reaches_outside_a_project_is_not_its(tmp_path: Path):
    for name in ("mine/a.py", "mine/.kept/b.py", "others/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    root = tmp_path / "root"
    root.symlink_to("mine")
    for link, target in {"again.py": "a.py", "kept": ".kept", "others": "../others"}.items():
        (tmp_path / "mine" / link).symlink_to(target)
    assert list(project.read(root)) == [str(tmp_path / "mine" / "a.py")]


def drawing_of(own: Completer, before: str, floor: float) -> Drawing:
    return Drawing(own.codec, own.index, before, own.pieces, False, floor)


@pytest.mark.parametrize("before", ["    return boat.draught_me", "    return ", "        ", "x = boat.load_tonnes"])
def test_what_has_begun_is_kept_to_and_not_offered_again(taught, before):
    drawing = drawing_of(taught, before, 0.0)
    assert drawing.read + drawing.begun == before and drawing.begun
    found = taught.complete(before, "\n", floor=0.0)
    assert found is None or not (drawing.begun.strip() and found.text.startswith(drawing.begun))
    drawing.adjust(torch.zeros(taught.codec.space.symbols), [])
    assert drawing.chances[0] > 1 / taught.codec.space.symbols


def test_it_ends_with_the_line_unless_a_block_is_wanted():
    drawing = drawing_of(completer(), "    def f(self):\n        x = ", 0.0)
    assert drawing._wanted("1\n        return x") == "1"
    drawing.block = True
    text = "1\n        if x:\n            y\n\n        return x\n\n    def g(self):\n        pass"
    assert drawing._wanted(text) == "1\n        if x:\n            y\n\n        return x\n"
    assert drawing._wanted("1\n        y = 2\n        y = 2\n        y = 2") == "1\n        y = 2"


def test_it_is_cut_where_it_becomes_unlikely_and_never_inside_a_word():
    own = completer()
    drawing = drawing_of(own, "", 0.5)
    symbols = own.codec.symbols_of("boat.draught_metres").tolist()
    texts = [own.codec.text_of(torch.tensor(symbols[:n])) for n in range(len(symbols) + 1)]
    inside = len(symbols) - 1
    assert texts[inside] not in ("boat.", "boat.draught_metres")
    drawing.chances = [1.0] * inside + [0.1] * (len(symbols) - inside)
    assert drawing.completion(symbols) == Completion("boat.", 1.0)
    drawing.chances = [1.0] * len(symbols)
    assert drawing.completion(symbols) == Completion("boat.draught_metres", 1.0)
    drawing.chances = [0.1] * len(symbols)
    assert drawing.completion(symbols) is None


def test_of_several_lines_only_whole_ones_are_offered():
    own = completer()
    drawing = drawing_of(own, "", 0.5)
    drawing.block = True
    symbols = own.codec.symbols_of("boat = 1\nself.depth_metres").tolist()
    drawing.chances = [1.0] * (len(symbols) - 2) + [0.1] * 2
    assert drawing.completion(symbols) == Completion("boat = 1", 1.0)


def test_who_has_left_gets_nothing_and_the_next_is_served(taught):
    steps = iter([False, True])
    assert taught.complete(BEFORE, "\n", left=lambda: next(steps)) is None
    assert not taught.decoding.busy
    assert taught.complete(BEFORE + "self.draught_of(boat)", "\n", floor=0.0) is not None


@pytest.mark.parametrize("lines", [0, 1, 500, 2_000_000])
def test_what_is_asked_fits_and_stays_the_same_while_a_line_is_written(lines):
    own = Completer(untaught())
    before = "value = harbour.admits(boat)\n" * lines + "x = " + "long" * (900 if lines == 1 else 1)
    asked = own.asked(before, "\n" + SOURCE * (1 + lines // 100), 40)
    assert len(asked) <= own.decoding.sites - 40
    more = own.asked(before + " y", "\n" + SOURCE * (1 + lines // 100), 40)
    if lines != 1:
        shared = next((n for n, (a, b) in enumerate(zip(asked, more, strict=False)) if a != b), len(asked))
        assert shared >= len(asked) - 3


def test_a_model_that_fills_no_gaps_is_refused(tmp_path):
    plain = text_gpt(["some text to learn from"] * 3, tokens="bytes", length=32, width=32, layers=1).generator
    with pytest.raises(Refusal, match="not trained to fill gaps"):
        Completer(plain)
