"""Lists: what is taken for one, how its items are parted, and how they are learned."""

from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from septet import runs
from septet.codecs.symbols import Symbols
from septet.data.canaries import Planted
from septet.data.dataset import read
from septet.data.listed import as_often, read_texts
from septet.generator import Generator
from septet.modalities.lists import is_list
from septet.modalities.text import Text
from septet.originality import evidence
from septet.originality.lines import Listed
from septet.recipes.text_gpt import text_gpt
from septet.space import PADDING, Refusal

NAMES = ["".join(parts) for parts in product(("Ka", "Me", "Tol", "Vi"), "lnr", ("a", "en", "ik", "or", "uth"))]
TINY: dict[str, Any] = {"width": 32, "layers": 1, "batch": 8, "length": 64}
PROSE = "The cat sat on the mat, and the dog ran.\nThen it rained; nobody came\nto see what the two had done.\n" * 40
VERSE = "O rose thou art sick\nThe invisible worm\nThat flies in the night\nIn the howling storm\n\n" * 30
PLAY = "ROMEO:\nIs the day so young?\n\nBENVOLIO:\nBut new struck nine.\n\n" * 30
CODE = "import os\n\ndef run(path):\n    for name in os.listdir(path):\n        print(name)\n\n" * 30
BULLETS = "# Monday\n- milk\n- bread\n- two apples\n" * 30


def numbered(text: str) -> str:
    """The same lines, no two of them equal."""
    return "\n".join(f"{line} {k}" if line and k % 7 == 0 else line for k, line in enumerate(text.split("\n")))


@pytest.mark.parametrize(
    "texts",
    [
        ["\n".join(NAMES)],
        ["\r\n".join(NAMES).replace("\r\n", "\n") + "\n\n"],
        NAMES,
        ["\n".join(NAMES[:30]), "\n".join(NAMES[30:])],
        ["\n".join(f"The {name} Inn" for name in NAMES)],
        ["\n".join(f"{name} {k}" for k, name in enumerate(NAMES))],
        ["\n".join([*NAMES, "What is this?"])],
        ["\n".join("\u6771\u4eac\u5927\u962a\u540d\u53e4"[k % 5] + chr(0x4E00 + k) for k in range(60))],
    ],
    ids=["lines", "blank end", "texts", "files", "words", "counts", "one odd", "ideographs"],
)
def test_many_short_lines_are_a_list(texts: list[str]):
    assert is_list(texts)


@pytest.mark.parametrize("text", [PROSE, VERSE, PLAY, CODE, BULLETS], ids=["prose", "verse", "play", "code", "bullets"])
def test_running_text_is_none(text: str):
    assert not is_list([numbered(text)])
    assert not is_list(["\n".join(NAMES), numbered(text)])


def test_few_lines_are_none():
    assert not is_list(["\n".join(NAMES[:49])]) and is_list(["\n".join(NAMES[:50])])
    assert not is_list(["Kala\n" * 1000]) and not is_list([]) and not is_list([""])


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A sorted list, some of whose names stand there again."""
    path = tmp_path / "names.txt"
    path.write_text("\n".join(sorted([*NAMES, *NAMES[:6], NAMES[0]])) + "\n")
    return path


def test_a_list_is_said_and_held_out_by_item(names: Path):
    dataset = read_texts(names)
    assert [item.datum for item in dataset] == sorted(NAMES)
    held_out, training = ({dataset[i].datum for i in side} for side in (dataset.validation, dataset.training))
    assert len(held_out) == 6 and not held_out & training and held_out | training == set(NAMES)
    assert held_out != set(sorted(NAMES)[-6:])  # nor by position
    assert any("items=texts" in sentence for sentence in dataset.report)
    assert "7 exact duplicates are trained on as often as they occur." in dataset.report
    assert len(read_texts(names, "texts")) == 2  # the first nine tenths of the text, and the last


def test_items_that_stand_there_again_are_learned_as_often(names: Path):
    dataset = read_texts(names)
    often = [dataset[i].datum for i in as_often(dataset)]
    trained = {dataset[i].datum for i in dataset.training}
    assert [often.count(name) for name in NAMES] == [
        (3 if name == NAMES[0] else 2 if name in NAMES[:6] else 1) * (name in trained) for name in NAMES
    ]


def test_spellings_of_an_item_stay_on_one_side():
    dataset = read([*NAMES, *map(str.upper, NAMES)], Text(listed=True))
    sides = [{dataset[i].datum.lower() for i in side} for side in (dataset.training, dataset.validation)]
    assert sides[1] and not sides[0] & sides[1]


def test_a_short_list_is_learned_where_it_is_asked_for(tmp_path: Path):
    path = tmp_path / "colours.txt"
    path.write_text("red. \n\n deep blue, nearly\ngreen\n")
    assert [item.datum for item in read_texts(path, "lines")] == ["red.", "deep blue, nearly", "green"]
    assert len(read_texts(path)) == 2 and text_gpt(path, items="lines", **TINY).dataset.validation == []


def test_canaries_leave_a_list_a_list(names: Path):
    assert len(read_texts(Planted(names, 7)).canaries) == 7


def test_what_else_items_may_be_is_refused(names: Path):
    with pytest.raises(Refusal, match="items=words: expected auto, lines or texts"):
        read_texts(names, "words")


def test_each_batch_holds_whole_items_shuffled(names: Path):
    plan = text_gpt(names, **TINY)
    codec, batches = plan.generator.codec, plan.stages[0].batches()
    assert isinstance(codec, Symbols) and codec.kind == "characters" and plan.generator.modality.listed
    seen = []
    for step in range(8):
        rows = batches.at(step)["latents"]
        last = (rows != PADDING).sum(1, keepdim=True) - 1
        assert ((rows == codec.space.markers["end"]).sum(1) == 1).all()
        assert (rows.gather(1, last) == codec.space.markers["end"]).all()
        seen += codec.decode(rows)
    trained = [plan.dataset[i].datum for i in plan.dataset.training]
    assert set(seen) <= set(trained) and seen != sorted(seen)
    follow = sum(trained.index(a) + 1 == trained.index(b) for a, b in pairwise(seen))
    assert follow < len(seen) / 4
    held_out = [name for batch in batches.validation() for name in codec.decode(batch["latents"])]
    assert sorted(held_out) == sorted(plan.dataset[i].datum for i in plan.dataset.validation)


def test_long_items_are_cut_without_an_end_and_in_larger_symbols(tmp_path: Path):
    path = tmp_path / "sayings.txt"
    path.write_text("\n".join(f"{name} said that {' '.join(NAMES[k:])}" for k, name in enumerate(NAMES)))
    plan = text_gpt(path, items="lines", **TINY)
    rows = plan.stages[0].batches().at(0)["latents"]
    codec = plan.generator.codec
    assert isinstance(codec, Symbols) and codec.kind == "bpe" and rows.shape[1] <= 64
    whole = rows[(rows != PADDING).all(1)]
    assert not (whole == codec.space.markers["end"]).any()


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Generator:
    """A model of the names."""
    root = tmp_path_factory.mktemp("learned")
    (root / "names.txt").write_text("\n".join(NAMES))
    return runs.train(root / "names.txt", "text_gpt", root / "model", steps=150, rate=0.03, dropout=0.01, **TINY)


def test_drawn_items_end(learned: Generator):
    drawn = [output.text for output in learned.generate(count=16)]
    assert sum(name in NAMES for name in drawn) > 8 and all(1 < len(name) < 12 and "\n" not in name for name in drawn)


def test_a_model_of_lists_goes_on_with_lists(learned: Generator, names: Path):
    (names.parent / "few.txt").write_text("\n".join(NAMES[:20]))
    assert text_gpt(names.parent / "few.txt", start=learned, **TINY).dataset.modality.listed
    with pytest.raises(Refusal, match="items=texts: the model to fine-tune, model, was trained on lines"):
        text_gpt(names, start=learned, items="texts", **TINY)
    plain = text_gpt([PROSE], **TINY).generator
    assert not text_gpt(names, start=plain, **TINY).dataset.modality.listed
    with pytest.raises(Refusal, match="items=lines: the model to fine-tune, unsaved, was trained on texts"):
        text_gpt(names, start=plain, items="lines", **TINY)


def test_a_verdict_is_on_the_whole_item(names: Path, tmp_path: Path):
    dataset = read_texts(names)
    kept = evidence.gather(dataset)
    assert isinstance(kept, Listed)
    (tmp_path / evidence.EVIDENCE).write_bytes(evidence.content(kept))
    found = evidence.load(tmp_path, dataset.modality)
    assert found is not None
    known, other = dataset[dataset.training[3]], dataset[dataset.validation[0]]
    verdicts = found.verdicts([known.datum.upper(), other.datum, known.datum + "x"])
    assert [str(verdict) for verdict in verdicts] == [f"copy of {known.source}", "new", "new"]
    assert evidence.lines_marked(found, [known.datum, other.datum, "x"]) == [True, True, False]
