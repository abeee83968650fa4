"""septet train FOLDER: the kind of content is told by the files, where they are all of one."""

from pathlib import Path

import pytest
from PIL import Image

from septet import models
from septet.cli.kinds import kind_of
from septet.cli.training import named
from septet.space import Refusal

DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M2 2 L20 4 L9 20 Z"/></svg>'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch):
    """Makes files of given names in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str, inside: str = "mine") -> Path:
        for name in names:
            path = Path(inside) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(DRAWING)
        return Path(inside)

    return make


@pytest.mark.parametrize(
    "names, kind",
    [
        (["a.txt", "deep/b.md"], "text"),
        (["a.svg", "b.SVG"], "vector"),
        (["a.png", "b.jpg", "a.txt", "metadata.csv", "metadata.jsonl"], "image"),
        (["a.svg", "README.md", "LICENSE.txt"], "vector"),
        (["a.svg", ".hidden.png", ".git/x.py"], "vector"),
        (["a.py", "b.py", "notes.md", "pyproject.toml", "Makefile"], "code"),
        ([".git/HEAD", "a.py", "docs/b.md", "docs/c.md", "icon.png"], "code"),
        (["a.html"], "code"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_files_of_one_kind_tell_it(folder, names: list[str], kind: str):
    assert kind_of(folder(*names)) == kind


def test_files_of_several_kinds_are_named_with_their_commands(folder):
    with pytest.raises(Refusal) as told:
        kind_of(folder("a.svg", "b.png", "c.png", "d.txt", inside="my things"))
    assert "2 image files and 1 text files and 1 vector files" in str(told.value)
    for kind in ("text", "image", "vector"):
        assert f"septet train {kind} 'my things'" in str(told.value)
    with pytest.raises(Refusal, match="septet train code mixed or septet train text mixed"):
        kind_of(folder("a.py", "b.txt", "c.md", inside="mixed"))


def test_one_file_tells_its_kind(folder):
    root = folder("a.svg", "README.md", "tool.py", "metadata.jsonl", "words")
    found = [kind_of(root / name) for name in ("a.svg", "README.md", "tool.py", "metadata.jsonl")]
    assert found == ["vector", "text", "code", "text"]
    with pytest.raises(Refusal, match=r"1 without extension\); septet train code mine/words or "):
        kind_of(root / "words")


def test_what_holds_nothing_is_refused(folder):
    with pytest.raises(Refusal, match=r"mine holds nothing to train on \(1 \.exe\); give another"):
        kind_of(folder("a.exe"))
    with pytest.raises(Refusal, match="no such file or folder"):
        kind_of(Path("nowhere"))


def test_a_kind_that_is_named_stays(folder):
    folder("a.svg", inside="text")
    assert named("image", Path("text"), ["size=8"], None) == ("image", Path("text"), ["size=8"])
    assert named("vector", Path("text"), [], "vector_gpt") == ("vector", Path("text"), [])


def test_a_folder_named_like_a_kind_is_found(folder, capsys):
    folder("a.svg", inside="text")
    assert named("text", None, [], None) == ("vector", Path("text"), [])
    assert "text is read as vector, as with septet train vector text." in capsys.readouterr().out
    assert named("text", Path("width=32"), ["layers=1"], None) == ("vector", Path("text"), ["width=32", "layers=1"])
    with pytest.raises(Refusal, match="train image: the files are missing"):
        named("image", Path("width=32"), [], None)


def test_a_folder_with_an_equals_sign_is_no_option(folder):
    folder("a.svg", inside="sizes=all")
    assert named("vector", Path("sizes=all"), [], None) == ("vector", Path("sizes=all"), [])
    assert named("sizes=all", Path("width=32"), [], None)[:2] == ("vector", Path("sizes=all"))


def test_a_recipe_tells_the_kind(folder):
    root = str(folder("a.svg", "b.png"))
    assert named(root, None, [], "image_gan,image_vae")[0] == "image"
    with pytest.raises(Refusal, match="a model is trained on one kind"):
        named(root, None, [], "gan")


def test_a_model_is_trained_from_a_folder_alone(septet, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(10):
        Image.new("RGB", (8, 8), (number * 20, 0, 90)).save(f"photos/red-{number}.png")
    code, said, _ = septet("train", "photos", "size=8", "width=32", "layers=1", "batch=4", "--steps", 1)
    assert not code and "photos is read as image" in said and models.card("models/photos")["training"] == 9
    code, _, error = septet("train", "photos", "--recipe", "nonsense")
    assert code == 2 and "recipe 'nonsense'" in error
