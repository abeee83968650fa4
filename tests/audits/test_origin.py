"""`septet audit FILE` and `septet check FILE`: a file is what its record says, or it is not."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from synthetic import pictures, text

from septet import models, runs
from septet.audits import origin, provenance
from septet.audits.page import TILE
from septet.conditioners.attributes import Attributes
from septet.storage.pictures import uri
from septet.storage.records import read_record

TINY: dict[str, Any] = {"width": 32, "layers": 1, "batch": 8}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A painter of shapes, a writer, and one that draws kites; each hardly trained."""
    root = tmp_path_factory.mktemp("shop")
    (root / "shapes").mkdir()
    (root / "kites").mkdir()
    for number, picture in enumerate(pictures(60, 1)):
        Pillow.fromarray(picture).save(root / "shapes" / f"{('red', 'blue')[number % 2]} shape-{number}.png")
        d = f"M{number % 20} {number % 7} L20 {number % 9 + 2} L{number % 5 + 3} 20 Z"
        (root / "kites" / f"kite {number}.svg").write_text(f'<svg viewBox="0 0 24 24"><path d="{d}"/></svg>')
    (root / "tales.txt").write_text(text(800, 1))
    runs.train(root / "shapes", "image_diffusion", root / "painter", steps=2, size=16, patch=8, **TINY)
    runs.train(root / "tales.txt", "text_gpt", root / "writer", steps=2, tokens="characters", length=64, **TINY)
    labelled: dict[str, Any] = {"size": 8, "prompts": "labels", "batch": 4}
    small: dict[str, Any] = {"width": 8, "stages": 1, "noise_size": 8, "vector": 8}
    runs.train(root / "shapes", "image_gan", root / "gan", steps=2, **labelled, **small)
    runs.train(root / "shapes", "image_vae", root / "vae", steps=2, latent=4, width=8, hidden=16, **labelled)
    runs.train(root / "kites", "vector_gpt", root / "kiter", steps=2, length=48, **TINY)
    return root


@pytest.fixture
def said(septet, tmp_path: Path, monkeypatch) -> Callable[..., str]:
    """What a command line says that ends well, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> str:
        code, out, error = septet(*words)
        assert code == 0, error
        return out

    return run


@pytest.mark.parametrize(
    "model, prompt, words",
    [
        ("painter", "red shape", ["--count", "3"]),
        ("painter", "red shape", ["--count", "2", "--format", "webp", "--guidance", "2"]),
        ("kiter", "kite", ["--count", "2"]),
        ("kiter", "kite", ["--count", "2", "--format", "png"]),
        ("writer", "the old fox ", ["--count", "2"]),
        ("gan", "red shape", ["--count", "2"]),
        ("vae", "red shape", ["--count", "2"]),
    ],
)
def test_an_honest_file_comes_out_the_same(shop, said, model, prompt, words, tmp_path):
    told = said("generate", shop / model, prompt, *words, "--out", "made")
    file = sorted(path for path in Path("made").iterdir() if path.suffix != ".json")[-1]
    assert len(re.findall(r"^made/.*: (new|close to|copy of)", told, re.M)) == int(words[1])
    told = said("audit", file, "--model", shop / model)
    assert origin.SAME in told and re.search(r"^It is (new|close|a copy)", told, re.M)
    report = json.loads((file.with_name(file.stem + "-audit") / "report.json").read_text())
    page = (file.with_name(file.stem + "-audit") / "index.html").read_text()
    assert report["file"]["figures"]["same"] is True and report["sentences"][0] in told
    steps = set() if model in ("gan", "vae") else {"draw"}
    assert set(report) >= {"record"} | steps | ({"copied"} if model == "writer" else {"nearest"})
    assert "://" not in page.replace("http://www.w3.org", "") and "<script" not in page


def foreign(model: Path, source: Path) -> Path:
    """A copy of a model whose record names another folder as what it was trained on."""
    copy = Path(shutil.copytree(model, source.with_name("painter")))
    run = json.loads((copy / "run.json").read_text())
    models.attach(copy, "run.json", json.dumps(run | {"source": str(source)}))
    return copy


def test_a_foreign_record_shows_nothing_but_what_was_learned_from(shop, said, septet, tmp_path):
    private, modality = tmp_path / "private", models.load(shop / "painter").modality
    private.mkdir()
    for path, picture in zip(sorted((shop / "shapes").iterdir()), pictures(60, 2), strict=True):
        Pillow.fromarray(picture).save(private / path.name)
    copy = foreign(shop / "painter", private)
    said("generate", copy, "red shape", "--out", "made")

    def seen(folder: Path) -> set[str]:
        """Of a folder's pictures, those that the page of a file shows."""
        page = Path("made/painter-0-audit/index.html").read_text()
        shown = {path.name: uri(modality.preview(modality.read(path), TILE)) for path in folder.iterdir()}
        return {name for name, held in shown.items() if held in page}

    said("audit", "made/painter-0.png", "--model", shop / "painter")
    assert len(seen(shop / "shapes")) == origin.NEAREST
    said("audit", "made/painter-0.png", "--model", copy)
    assert not seen(private)
    report = json.loads(Path("made/painter-0-audit/report.json").read_text())
    assert len(report["nearest"]["figures"]) == origin.NEAREST
    said("audit", "made/painter-0.png", "--model", copy, "--data", private)
    assert not seen(private)
    code, _, error = septet("audit", "made/painter-0.png", "--model", copy, "--influence")
    assert code == 2 and f"add --data {private}" in error
    said("audit", "made/painter-0.png", "--model", copy, "--influence", "--data", private)
    assert seen(private)


def test_influence_is_told_on_request(shop, said):
    said("generate", shop / "painter", "red shape", "--out", "made")
    said("audit", "made/painter-0.png", "--model", shop / "painter", "--influence")
    report = json.loads(Path("made/painter-0-audit/report.json").read_text())
    assert len(report["influence"]["figures"]) == 5 and report["influence"]["figures"][0]["item"].endswith(".png")


def test_a_picture_of_a_drawing_that_was_changed_is_shown_as_it_is(shop, said):
    said("generate", shop / "kiter", "kite", "--format", "png", "--out", "made")
    record = read_record(Path("made/kiter-0.png"))
    chunks = PngInfo()
    chunks.add_text("septet", json.dumps(record))
    Pillow.new("RGBA", (512, 512), "red").save("made/red.png", pnginfo=chunks)
    told = said("audit", "made/red.png", "--model", shop / "kiter")
    assert origin.CHANGED in told and "nothing else can be determined" in told and "It is new" not in told
    report = json.loads(Path("made/red-audit/report.json").read_text())
    assert report["file"]["figures"]["same"] is False and "nearest" not in report


def test_the_beginning_that_was_given_is_not_judged(shop, said):
    tale = (shop / "tales.txt").read_text()[1000:1120]
    told = said("generate", shop / "writer", tale, "length=5", "--out", "made")
    assert "made/writer-0.txt: new" in told
    assert "It is new" in said("audit", "made/writer-0.txt", "--model", shop / "writer")


def test_attributes_are_left_out_whole(shop):
    model = models.load(shop / "vae")
    assert list(provenance._without(model, "label=red shape")) == []
    model.conditioner = Attributes(8, {"colour": ["red", "blue"], "size": ["small", "large"]})
    found = list(provenance._without(model, "colour=red, size=small"))
    assert found == [("colour=red", {"size": "small"}), ("size=small", {"colour": "red"})]


def test_an_edited_file_or_record_is_found_out(shop, said):
    said("generate", shop / "painter", "red shape", "--count", "1", "--out", "made")
    file = Path("made/painter-0.png")
    record = read_record(file)
    assert record is not None
    pixels = np.array(Pillow.open(file))

    def saved(name: str, pixels: np.ndarray, record: dict[str, Any]) -> Path:
        chunks = PngInfo()
        chunks.add_text("septet", json.dumps(record))
        Pillow.fromarray(pixels).save(name, pnginfo=chunks)
        return Path(name)

    assert origin.SAME in said("audit", saved("repacked.png", pixels, record), "--model", shop / "painter")
    edited = pixels.copy()
    edited[3, 3, 0] ^= 1
    assert origin.CHANGED in said("audit", saved("edited.png", edited, record), "--model", shop / "painter")
    other = record | {"prompt": "blue shape"}
    assert origin.CHANGED in said("audit", saved("other.png", pixels, other), "--model", shop / "painter")
    assert "generated again" in Path("other-audit/index.html").read_text()
    older = record | {"prompt": "blue shape", "settings": record["settings"] | {"torch": "2.0"}}
    assert origin.ELSEWHERE in said("audit", saved("older.png", pixels, older), "--model", shop / "painter")


def test_what_a_record_alone_does_not_draw_again(shop, said):
    given = sorted((shop / "shapes").iterdir())[0]
    said("generate", shop / "painter", "red shape", "--like", given, "--out", "made")
    told = said("audit", "made/painter-0.png", "--model", shop / "painter")
    assert "generated around or after a given file" in told and "It is " in told
    said("generate", shop / "painter", "red shape", "--to", "blue shape", "--count", "2", "--out", "between")
    told = said("audit", "between/painter-0.png", "--model", shop / "painter")
    assert "a step of an interpolation" in told


def test_a_model_that_keeps_no_features_and_one_that_is_not_there(shop, said, septet, tmp_path):
    (tmp_path / "few").mkdir()
    for number, picture in enumerate(pictures(8, 1)):
        Pillow.fromarray(picture).save(tmp_path / "few" / f"shape-{number}.png")
    tiny = ("size=16", "patch=8", "width=32", "layers=1", "--steps", 1, "--from", "nothing")
    code, _, error = septet("train", "image", "few", *tiny)
    assert code == 0 and "will not be judged for originality: too few held-out items" in error
    assert ": new" not in said("generate", "models/few", "shape")
    assert "the model keeps no features" in said("audit", "made/few-0.png")
    Path("models/few").rename("models/moved")
    code, _, error = septet("audit", "made/few-0.png")
    assert code == 2 and "was generated by the model 'few'" in error and "give its folder with --model" in error
    code, _, error = septet("audit", "made/few-0.png", "--model", shop / "painter")
    assert code == 2 and "did not generate made/few-0.png" in error


@pytest.mark.hostile
@pytest.mark.parametrize(
    "change, expected",
    [
        ({"seed": "7"}, "its record has seed='7', which septet never writes"),
        ({"seed": -1}, "seed=-1: expected a whole number"),
        ({"settings": {"tile": 10**9}}, "tile=1000000000; expected 1 to 1024"),
        ({"settings": {"threads": 0}}, "threads=0; expected 1 to 256"),
        ({"settings": {"magic": 3}}, "magic=3: Flow takes"),
        ({"settings": {"self": 1}}, "self=1: Flow takes"),
        ({"settings": {"requests": []}}, "requests=[]: Flow takes"),
        ({"settings": {"given": {"text": "a"}}}, "a given beginning, which its model does not continue"),
        ({"settings": {"steps": 10**9}}, "steps=1000000000: a flow takes 1 to 1000 steps"),
        ({"model": 3}, "its record has model='3'"),
        ({"model": "../painter"}, "was generated by the model '../painter'"),
        ({"prompt": "x" * 20_000}, "a prompt of 20,000 characters"),
        ({"prompt": {"a": 1}}, "a prompt whose values are not strings"),
    ],
)
def test_records_that_lie_are_one_sentence(shop, septet, tmp_path, change, expected):
    digest = models.digest(shop / "painter")
    record = {"septet": "0.1.0", "model": "painter", "model_sha256": digest, "prompt": None, "seed": 0, "settings": {}}
    chunks = PngInfo()
    chunks.add_text("septet", json.dumps(record | change))
    Pillow.new("RGBA", (16, 16)).save(tmp_path / "lie.png", pnginfo=chunks)
    where = [] if "model" in change else ["--model", shop / "painter"]
    code, out, error = septet("audit", tmp_path / "lie.png", *where)
    assert code == 2 and expected in error and error.count("\n") == 1 and not out


def test_files_without_a_record(septet, said, tmp_path):
    Pillow.new("RGBA", (16, 16)).save(tmp_path / "plain.png")
    (tmp_path / "plain.txt").write_text("a tale")
    for name in ("plain.png", "plain.txt"):
        assert "contains no septet record; that proves nothing" in said("check", tmp_path / name)
        code, _, error = septet("audit", tmp_path / name)
        assert code == 2 and "contains no septet record" in error
    code, _, error = septet("check", tmp_path / "gone.png")
    assert code == 2 and "no such file" in error


def test_check_tells_what_the_record_says(shop, said):
    said("generate", shop / "writer", "the old fox ", "--out", "made")
    told = said("check", "made/writer-0.txt")
    assert "with the model writer" in told and "and seed 0" in told and "Next: septet audit made/writer-0.txt" in told
