"""A list through the command line: learned, resumed, drawn from, judged."""

import json
from itertools import product
from pathlib import Path

import pytest

from septet import models, runs

NAMES = ["".join(parts) for parts in product(("Ka", "Me", "Tol", "Vi", "Su"), "lnr", ("a", "en", "ik", "or", "uth"))]
SMALL = ["length=64", "batch=8", "width=32", "layers=1", "rate=0.03"]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Path:
    """Half of all names, sorted, and a model of them."""
    root = tmp_path_factory.mktemp("shelf")
    (root / "names.txt").write_text("\n".join(sorted(NAMES)[::2]) + "\n")
    options = {"length": 64, "batch": 8, "width": 32, "layers": 1, "rate": 0.03, "items": "lines"}
    runs.train(root / "names.txt", "text_gpt", root / "names", steps=80, **options)
    return root


@pytest.fixture
def said(septet, shelf: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> str:
        code, out, error = septet(*words)
        assert not code, error
        return out

    return run


def marks(told: str) -> dict[str, str]:
    """The mark of each item that a command told."""
    lines = [line for line in told.splitlines() if line.startswith(("new  ", "in your data  "))]
    return {line[12:].strip(): line[:12].strip() for line in lines}


def test_items_that_are_drawn_are_new_and_keep_their_seeds(said, shelf: Path):
    known = set((shelf / "names.txt").read_text().split())
    raw = said("generate", shelf / "names", "new=no", "--count", 24, "--out", "raw")
    assert {item: mark == "in your data" for item, mark in marks(raw).items()} == {m: m in known for m in marks(raw)}
    assert known & set(marks(raw)) and "new=no keeps" not in raw
    told = said("generate", shelf / "names", "temperature=1.5", "--count", 12)
    drawn = {path: path.read_text() for path in Path("made").glob("*.txt")}
    assert (
        len(set(drawn.values())) == 12 and not known & set(drawn.values()) and set(marks(told)) == set(drawn.values())
    )
    assert "were generated before; new=no keeps them." in told
    records = {path: json.loads(Path(f"{path}.json").read_text()) for path in drawn}
    last = max(record["seed"] for record in records.values())
    following = int(told.split("--seed ")[1].split()[0])
    assert last >= 12 and following > last
    late = next(path for path, record in records.items() if record["seed"] >= 12)
    again = said("generate", shelf / "names", "temperature=1.5", "--seed", records[late]["seed"], "--out", "again")
    assert drawn[late] in marks(again)


def test_drawing_anew_has_an_end(said, shelf: Path):
    told = said("generate", shelf / "names", "temperature=0.01", "--count", 3)
    made = list(Path("made").glob("*.txt"))
    assert len(made) < 3 and f"No more than {len(made)} of 3 were found." in told


def test_a_beginning_is_kept_and_judged_with_its_item(said, shelf: Path):
    told = said("generate", shelf / "names", "To", "new=no", "--count", 8)
    known = set((shelf / "names.txt").read_text().split())
    assert marks(told) and all(item.startswith("To") for item in marks(told))
    assert all((mark == "in your data") == (item in known) for item, mark in marks(told).items())
    verdicts = said("generate", shelf / "names", "To", "new=no", "lines=no", "--count", 8, "--out", "judged")
    assert verdicts.count("copy of names.txt#") == sum(
        path.read_text() in known for path in Path("judged").glob("*.txt") if f"{path}: copy" in verdicts
    )


def test_what_new_may_be_is_refused(septet, shelf: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = septet("generate", shelf / "names", "new=maybe")
    assert code == 2 and "new=maybe: expected yes or no" in error
    code, _, error = septet("generate", "prose", "Once", "new=yes")
    assert code == 2 and "new=yes: Autoregressive takes" in error


def test_a_table_of_prompts_gets_the_seeds_that_it_names(said, shelf: Path):
    Path("asked.csv").write_text("prompt,name,count,seed\nKa,first,6,0\n")
    said("generate", shelf / "names", "--prompts", "asked.csv")
    assert sorted(path.name for path in Path("made").glob("*.txt")) == [f"first-{seed}.txt" for seed in range(6)]


def test_a_list_is_resumed_bit_for_bit(said, shelf: Path):
    words = ("train", shelf / "names.txt", *SMALL, "items=lines")
    run = iter(
        runs.Run(
            shelf / "names.txt",
            "text_gpt",
            "mine",
            steps=6,
            checkpoint_seconds=0.0,
            length=64,
            batch=8,
            width=32,
            layers=1,
            rate=0.03,
            items="lines",
        )
    )
    while not ((progress := next(run)).step and progress.step.step == 3):
        pass
    del run, progress
    assert "6 steps" in said(*words, "--resume", "--out", "mine")
    said(*words, "--steps", 6, "--out", "whole")
    assert Path("mine/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()


def test_an_audit_tells_how_many_items_are_new(said, shelf: Path):
    told = said("audit", shelf / "names", "--count", 20, "--out", "page")
    assert "stand" not in told.partition("\n")[0] and "are training items" in told and "perplexity" in told
    assert models.card(shelf / "names")["items"] == 34
    said("generate", shelf / "names", "new=no", "--count", 1)
    assert "Generating it again from its record gives an identical result" in said(
        "audit", next(Path("made").glob("*.txt")), "--model", shelf / "names"
    )


def test_an_audit_of_data_sees_a_list(said, shelf: Path):
    Path("lists").mkdir()
    Path("lists/names.txt").write_text("\n".join(sorted(NAMES)))
    told = said("audit", "lists")
    assert "Read as a list, for its many short lines" in told and "67 training items, 8 held out." in told
