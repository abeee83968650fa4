"""Reading what people have: folders, lists, tables; copies, splits, broken files, sets larger than memory."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counting import lines_run
from PIL import Image as Pillow

from septet.data.dataset import Item, read
from septet.modalities.image import Image
from septet.modalities.text import Text
from septet.space import Refusal

SHAKESPEARE = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare.txt.gz"


def photo(seed: int, side: int = 40) -> np.ndarray:
    few = np.random.default_rng(seed).integers(0, 256, (7, 7, 3)).astype(np.uint8)
    return np.array(Pillow.fromarray(few).resize((side, side), Pillow.Resampling.BICUBIC))


def folder_of(path: Path, count: int, first: int = 0) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        Pillow.fromarray(photo(seed)).save(path / f"cup_{seed}.png")
    return path


def test_a_folder_becomes_items_with_captions(tmp_path: Path):
    folder_of(tmp_path / "cups", 12)
    dataset = read(tmp_path, Image(size=16))
    assert len(dataset) == 12 and dataset.data.shape == (12, 16, 16, 4)
    assert isinstance(dataset[0], Item) and dataset[0].prompt == "cups, cup" and dataset[0].source == "cups/cup_0.png"
    assert (dataset[-1].datum == dataset.data[11]).all() and [item.source for item in dataset][11] == dataset[11].source
    assert len(dataset.validation) == 1 and sorted(dataset.training + dataset.validation) == list(range(12))
    assert "12 from names" in " ".join(dataset.report)
    with pytest.raises(IndexError):
        dataset[12]


def test_split_and_fingerprint_follow_seed_and_content(tmp_path: Path):
    folder_of(tmp_path, 30)
    first, again, other = (read(tmp_path, Image(size=16), seed=seed) for seed in (1, 1, 2))
    assert first.validation == again.validation != other.validation and len(first.validation) == 3
    assert first.fingerprint == again.fingerprint == other.fingerprint
    Pillow.fromarray(photo(99)).save(tmp_path / "cup_0.png")
    assert read(tmp_path, Image(size=16)).fingerprint != first.fingerprint
    assert len(read(tmp_path, Image(size=16), held_out=0.5).validation) == 15
    assert read(tmp_path, Image(size=16), held_out=0).validation == []
    with pytest.raises(Refusal, match="held_out=1"):
        read(tmp_path, Image(size=16), held_out=1)


def test_copies_are_dropped_and_near_copies_never_straddle(tmp_path: Path):
    folder_of(tmp_path, 20)
    for seed in range(10):
        Pillow.fromarray(photo(seed)).save(tmp_path / f"near_{seed}.jpg", quality=85)
        Pillow.fromarray(photo(seed)).save(tmp_path / f"same_{seed}.bmp")
    for split in range(5):
        dataset = read(tmp_path, Image(size=32), held_out=0.3, seed=split)
        said = " ".join(dataset.report)
        assert (
            len(dataset) == 30
            and "10 exact duplicates" in said
            and "20 items have near duplicates, in 10 groups" in said
        )
        side = {item.source: index in dataset.validation for index, item in enumerate(dataset)}
        assert all(side[f"cup_{seed}.png"] == side[f"near_{seed}.jpg"] for seed in range(10))
        assert len(dataset.validation) == 9


def test_broken_files_are_listed_and_skipped_and_other_kinds_named(tmp_path: Path):
    folder_of(tmp_path, 12)
    good = (tmp_path / "cup_0.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "none.png").write_bytes(b"")
    (tmp_path / "drawing.svg").write_text("<svg/>")
    dataset = read(tmp_path, Image(size=16))
    assert len(dataset) == 12 and [said.split(":")[0] for said in dataset.skipped] == ["cut.png", "none.png"]
    said = " ".join(dataset.report)
    assert "2 of 14 could not be read" in said and "cut.png: damaged" in said and "1 .svg" in said


def test_what_holds_nothing_is_one_clear_sentence(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"nothing")
    cases = {
        "missing": "no such file or folder",
        "empty": "is empty",
        "tables": "holds no image files .* only 1 .csv",
        "broken": "none of 1 image items could be read; first: a.png: not a picture",
        "tables/a.csv": "not a picture",
    }
    for name, said in cases.items():
        with pytest.raises(Refusal, match=said):
            read(tmp_path / name, Image())
    for source, said in (
        ([], "none of 0 image items could be read"),
        (3, "data of type int"),
        ([1, 2], "int: expected a PIL picture"),
    ):
        with pytest.raises(Refusal, match=said):
            read(source, Image())


def test_lists_arrays_pairs_and_strings_are_data_too():
    pictures = [photo(seed) for seed in range(12)]
    from_arrays = read(pictures, Image(size=16))
    from_pictures = read([Pillow.fromarray(picture) for picture in pictures], Image(size=16))
    assert (
        (from_arrays.data == from_pictures.data).all()
        and from_arrays[3].prompt is None
        and from_arrays[3].source == "3"
    )
    labels = np.arange(12) % 3
    assert read((np.stack(pictures), labels), Image(size=16))[5].prompt == "2"
    assert read((pictures, [{"colour": "red"}] * 12), Image(size=16))[5].prompt == {"colour": "red"}
    texts = read([f"text number {n}: {'word ' * n}" for n in range(12)], Text())
    assert texts[3].datum.startswith("text number 3") and len(texts.validation) == 1
    pair = read(("one text", "another one"), Text())
    assert len(pair) == 4 and pair.validation == [2, 3]  # two texts: the end of each is held out
    with pytest.raises(Refusal, match="12 data and 2 prompts"):
        read((pictures, ["a", "b"]), Image())


class ClassLabel:
    def int2str(self, value: int) -> str:
        return ("cat", "dog")[value]


class Table(list):
    """Rows with the attributes of a datasets.Dataset."""

    column_names: Any = ["image", "label"]
    features = {"label": ClassLabel()}


def test_a_table_of_pictures_and_labels():
    rows = Table({"image": Pillow.fromarray(photo(seed)), "label": seed % 2} for seed in range(12))
    dataset = read(rows, Image(size=16))
    assert [dataset[0].prompt, dataset[1].prompt] == ["cat", "dog"] and len(dataset) == 12
    with pytest.raises(Refusal, match="expected one with text"):
        read(rows, Text())
    rows.column_names = {"train": ["image"]}  # as a DatasetDict has them
    with pytest.raises(Refusal, match=r"splits \(train\); give one"):
        read(rows, Image())


def test_the_end_of_a_single_text_is_held_out(tmp_path: Path):
    text = "".join(f"line {n}\n" for n in range(1000))
    (tmp_path / "corpus.dat").write_text(text)
    dataset = read(tmp_path / "corpus.dat", Text())
    assert dataset.training == [0] and dataset.validation == [1]
    assert dataset[0].datum + dataset[1].datum == text and len(dataset[0].datum) == int(0.9 * len(text))
    assert "its last 10% is held out" in " ".join(dataset.report)


def test_of_few_texts_near_duplicates_are_never_cut(tmp_path: Path):
    one, other = ("".join(f"{word} {n} of {n * n % 97}\n" for n in range(300)) for word in ("line", "verse"))
    for name, text in (("v1", one), ("v2", one + "line 300\n" * 20), ("other", other)):
        (tmp_path / f"{name}.txt").write_text(text)
    dataset = read(tmp_path, Text())
    assert [dataset.sources[i] for i in dataset.validation] == ["other.txt#end"] and len(dataset.training) == 3
    assert dataset[0].datum + dataset[3].datum == other and "of each of 1 the last 10%" in " ".join(dataset.report)
    (tmp_path / "other.txt").unlink()
    dataset = read(tmp_path, Text())
    assert not dataset.validation and "Nothing is held out: all are near duplicates" in " ".join(dataset.report)


def test_a_folder_of_texts_splits_by_file(tmp_path: Path):
    random = np.random.default_rng(0)
    for n in range(20):
        (tmp_path / f"{n}.txt").write_text(" ".join(str(word) for word in random.integers(10_000, 99_999, 200)))
    (tmp_path / "copy.md").write_text((tmp_path / "3.txt").read_text().replace(" ", "\n"))
    dataset = read(tmp_path, Text())
    assert len(dataset) == 21 and len(dataset.validation) == 2 and dataset[0].prompt is None
    assert "2 items have near duplicates" in " ".join(dataset.report)


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="no Shakespeare here")
def test_shakespeare_is_split_as_everyone_does(tmp_path: Path):
    (tmp_path / "input.txt").write_bytes(gzip.decompress(SHAKESPEARE.read_bytes()))
    dataset = read(tmp_path / "input.txt", Text())
    assert [len(item.datum) for item in dataset] == [1_003_854, 111_540]


def test_a_set_beyond_memory_lies_in_a_file_and_is_the_same():
    pictures = [photo(seed) for seed in range(24)]
    kept, filed = read(pictures, Image(size=16)), read(pictures, Image(size=16), memory_bytes=5000)
    assert isinstance(filed.data, np.memmap) and not isinstance(kept.data, np.memmap)
    assert (kept.data == filed.data).all() and kept.validation == filed.validation
    assert not filed.data.flags.writeable and not kept.data.flags.writeable


def test_a_palette_is_learned_over_the_whole_set():
    dataset = read([photo(seed) for seed in range(12)], Image(size=16, palette=6), memory_bytes=5000)
    colours = {tuple(map(int, pixel)) for pixel in np.asarray(dataset.data).reshape(-1, 4)}
    assert isinstance(dataset.modality, Image) and dataset.modality.colours is not None
    assert colours <= set(dataset.modality.colours) and len(dataset.modality.colours) <= 6
    assert "reduced to a palette of" in " ".join(dataset.report)


def test_sheets_are_cut_and_tiles_named(tmp_path: Path):
    Pillow.fromarray(
        np.concatenate([np.concatenate([photo(4 * y + x, 16) for x in range(4)], 1) for y in range(3)])
    ).save(tmp_path / "wild_animals.png")
    dataset = read(tmp_path, Image(size=16, tile=16))
    assert len(dataset) == 12 and dataset[5].source == "wild_animals.png#5" and dataset[5].prompt == "wild animals"
    assert (dataset[5].datum[..., :3] == photo(5, 16)).all()
    Pillow.new("RGB", (64, 64)).save(tmp_path / "wild_animals.png")
    with pytest.raises(Refusal, match="nothing to train on"):
        read(tmp_path, Image(size=16, tile=16))


def test_few_or_all_alike_items_are_not_held_out():
    assert read([photo(seed) for seed in range(9)], Image(size=16)).validation == []
    base = photo(0)
    alike = []
    for n in range(12):
        base[n, n] ^= 1
        alike.append(base.copy())
    dataset = read(alike, Image(size=40))
    assert len(dataset) == 12 and dataset.validation == [] and "near duplicates of each other" in dataset.report[-1]


def test_a_picture_is_opened_once_and_costs_the_same_among_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened, plain = [], Image.read
    monkeypatch.setattr(Image, "read", lambda image, path: opened.append(path) or plain(image, path))
    lines = {}
    for count in (40, 160):
        for seed in range(count):
            Pillow.fromarray(photo(seed, 64)).save(tmp_path / f"{seed}.png")
        lines[count] = lines_run(lambda: read(tmp_path, Image(size=64))) / count
        assert len(opened) == len(set(opened)) == count
        opened.clear()
    print(f"lines run for a picture: {lines}")
    assert lines[160] < 1.1 * lines[40] < 10_000
