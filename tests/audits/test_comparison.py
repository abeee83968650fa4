"""Several recipes trained alike by one command, and their models compared on one page."""

import json
from pathlib import Path

import pytest
from PIL import Image as Pillow
from synthetic import pictures, text

RECIPES = ["diffusion", "gan", "vae", "gpt", "bert"]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shapes"
    folder.mkdir()
    for number, picture in enumerate(pictures(60, 1)):
        Pillow.fromarray(picture).save(folder / f"{('red', 'blue')[number % 2]} shape-{number}.png")
    return folder


def test_five_technologies_are_trained_and_compared(shapes, septet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", "image", shapes, "size=8", "batch=4", "--recipe", ",".join(RECIPES), "--steps", 3)
    code, said, error = septet(*words)
    assert code == 0, error
    made = [f"models/shapes-{name}" for name in RECIPES]
    assert said.splitlines()[-1] == f"Next: septet audit {' '.join(made)}"
    code, said, error = septet(*words, "--resume")
    assert code == 0 and said.count("exists already.") == 5

    code, said, error = septet("audit", *made, "--count", 12)
    assert code == 0, error
    report = json.loads(Path("made/comparison/report.json").read_text())
    assert [row["model"] for row in report["figures"]["figures"]] == [Path(name).name for name in made]
    assert {"same", "coverage", "precision", "copies", "seconds_an_output"} <= set(report)
    page = Path("made/comparison/index.html").read_text()
    assert page.count("data:image/png;base64,") == 5 * 8 and "://" not in page
    assert "5 models" in said and "Made made/comparison/index.html" in said


def test_what_cannot_be_compared_or_trained_together(shapes, septet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tales.txt").write_text(text(300, 1))
    tiny = ("width=32", "layers=1", "batch=4", "--steps", 1)
    assert septet("train", "text", "tales.txt", "tokens=characters", "length=32", *tiny)[0] == 0
    assert septet("train", "image", shapes, "size=8", *tiny, "--from", "nothing")[0] == 0
    code, _, error = septet("audit", "models/tales", "models/shapes", "--count", 4)
    assert code == 2 and "these models generate image and text: compare models of one kind" in error
    code, _, error = septet("train", "image", shapes, "--recipe", "gpt,wings", "--steps", 1)
    assert code == 2 and "'wings'" in error and not Path("models/shapes-gpt").exists()
    code, _, error = septet("train", "image", shapes, "--recipe", "gpt,gan", "--from", "models/shapes", "--steps", 1)
    assert code == 2 and "several recipes all start from random weights" in error
