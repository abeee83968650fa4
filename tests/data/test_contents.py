"""Prompts that hold content, as they are read: from memory, and from the files that a table names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from septet.conditioners.attributes import Attributes
from septet.conditioners.text import Text
from septet.data import survey
from septet.data.dataset import Dataset, read
from septet.modalities.image import Image
from septet.space import Refusal

CONTENTS = {"sketch": Image(8)}


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def saved(path: Path, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)
    Pillow.fromarray(picture(seed)).save(path)


def folder(root: Path, rows: list[str]) -> Path:
    for name, seed in (("hat.png", 0), ("cup.png", 1), ("sketches/hat.png", 2), ("sketches/cup.png", 3)):
        saved(root / name, seed)
    (root / "metadata.csv").write_text("\n".join(["file_name,text,sketch", *rows]))
    return root


def test_a_table_names_files_which_are_no_items_themselves(tmp_path: Path):
    source = folder(tmp_path, ["hat.png,a hat,sketches/hat.png", "cup.png,,sketches/cup.png"])
    found = read(source, Image(8), contents=CONTENTS)
    assert found.sources == ["cup.png", "hat.png"] and "Prompts: 2 with a file as sketch." in found.report
    assert found.captions == ["cup", "a hat"]  # where no words are given, those of the file's name
    for prompt, seed in zip(found.prompts, (3, 2), strict=True):
        assert isinstance(prompt, dict) and np.array_equal(prompt["sketch"][..., :3], picture(seed))
    plain = read(source, Image(8))
    assert len(plain) == 4 and plain.fingerprint != found.fingerprint


def test_a_file_that_is_not_there_skips_its_item_and_one_outside_is_refused(tmp_path: Path):
    source = folder(tmp_path / "own", ["hat.png,a hat,sketches/none.png", "cup.png,a cup,sketches/cup.png"])
    found = read(source, Image(8), contents=CONTENTS)
    assert found.sources == ["cup.png", "sketches/hat.png"] and "none.png" in found.skipped[0]
    for outside in ("../secret.png", "/etc/secret.png", "sketches/../../secret.png"):
        with pytest.raises(Refusal, match="outside"):
            read(folder(tmp_path / "own", [f"hat.png,a hat,{outside}"]), Image(8), contents=CONTENTS)


def test_the_same_picture_for_another_sketch_is_another_pair_on_the_same_side():
    data = [picture(k // 2) for k in range(40)]
    prompts = [{"text": "a hat", "sketch": picture(100 + k // 2 * 2 + k % 2)} for k in range(40)]
    found = read((data, prompts), Image(8), contents=CONTENTS, held_out=0.2)
    assert len(found) == 40 and not found.copies
    held_out = set(found.validation)
    assert held_out and all((k in held_out) == (k + 1 in held_out) for k in range(0, 40, 2))
    again = read((data * 2, prompts * 2), Image(8), contents=CONTENTS, held_out=0.2)
    assert len(again) == 40 and len(again.copies) == 40 and again.fingerprint == found.fingerprint
    other = read((data, [*prompts[:-1], {"text": "a hat", "sketch": picture(7)}]), Image(8), contents=CONTENTS)
    assert other.fingerprint != found.fingerprint


def test_figures_on_words_look_at_words_alone():
    data = [picture(k) for k in range(12)]
    prompts = [{"text": ("a hat", "a cup")[k % 2], "sketch": picture(100 + k)} for k in range(12)]
    found = read((data, prompts), Image(8), contents=CONTENTS)
    figures = survey.survey(found)
    assert figures["words"]["different"] == 3 and figures["balance"] == {"label": {"a hat": 6, "a cup": 6}}
    assert Attributes.learned(8, found.captions).values == {"label": ["a cup", "a hat"]}


def test_content_of_the_wrong_kind_skips_the_item_by_name():
    with pytest.raises(Refusal, match="sketch: .*expected a PIL picture"):
        read(([picture(0)], [{"sketch": np.zeros(3)}]), Image(8), contents=CONTENTS)


def test_prompts_longer_than_a_model_reads_are_counted():
    found = Dataset([], ["red " * 30, "red"], ["", ""], Image(8))
    assert survey.unread(found, Text.tiny()) == ["1 prompts are longer than the model's limit; their ends are ignored."]
    assert survey.unread(found, Attributes.tiny()) == []
