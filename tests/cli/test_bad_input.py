"""Whatever a user gets wrong is one clear sentence, exit code 2, and nothing half written."""

import os
import pickle
import resource
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from septet import models, runs
from septet.cli.app import main

pytestmark = pytest.mark.hostile

TINY = ["size=8", "width=32", "layers=1", "batch=4"]
MAIN = "from septet.cli.app import main; main()"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    stream = np.random.default_rng(0)
    for number in range(10):
        Image.fromarray(stream.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"red-{number}.png")
    return folder


@pytest.fixture(scope="module")
def model(pictures: Path, tmp_path_factory) -> Path:
    options: dict[str, Any] = {"size": 8, "width": 32, "layers": 1, "batch": 4}
    out = tmp_path_factory.mktemp("models") / "tiny"
    runs.train(pictures, "image_diffusion", out, steps=1, **options)
    return out


@pytest.fixture
def copied(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


@pytest.fixture
def refused(capsys, tmp_path: Path, monkeypatch) -> Callable[..., str]:
    """Runs a command line that must fail as it should; gives the sentence it says."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        written = capsys.readouterr().err
        assert ended.value.code == 2, written
        lines = [line for line in written.splitlines() if line.startswith("septet: ")]
        assert len(lines) == 1 and written.splitlines()[-1] == lines[0], written
        assert 20 < len(lines[0]) < 700 and "Traceback" not in written
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        return lines[0]

    return run


def huge_picture(path: Path) -> None:
    """A PNG of about 20 kB that would decode to 800 MB: 14,142 x 14,142 x 4 bytes."""
    side = 14142

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packed = zlib.compress(bytes(1 << 20), 9) * 20
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def test_a_folder_that_is_missing_or_empty(refused, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    assert "no such file or folder" in refused("train", "image", "missing", "--steps", 1)
    assert "is empty" in refused("train", "image", "empty", "--steps", 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="a superuser may read everything")
def test_a_folder_that_may_not_be_read(refused, tmp_path: Path):
    (tmp_path / "closed").mkdir(mode=0)
    assert "ermission" in refused("train", "image", "closed", "--steps", 1)


def test_a_folder_of_other_things(refused, tmp_path: Path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "list.csv").write_text("a,b\n")
    assert "holds no image files" in refused("train", "image", "notes", "--steps", 1)


@pytest.mark.parametrize("kind", ["corrupt", "cut short", "huge"])
def test_pictures_that_cannot_be_read(kind: str, refused, tmp_path: Path, pictures: Path):
    folder = tmp_path / "bad"
    folder.mkdir()
    whole = next(pictures.iterdir()).read_bytes()
    if kind == "huge":
        huge_picture(folder / "bomb.png")
        assert (folder / "bomb.png").stat().st_size < 30_000
    else:
        (folder / "bad.png").write_bytes(b"no picture at all" if kind == "corrupt" else whole[: len(whole) // 2])
    said = refused("train", "image", "bad", "--steps", 1)
    assert "could be read; first: " in said and ("pixels" in said) == (kind == "huge")


def test_a_bad_picture_among_good_ones_is_named_and_skipped(pictures: Path, tmp_path: Path, capsys):
    folder = Path(shutil.copytree(pictures, tmp_path / "mixed"))
    huge_picture(folder / "bomb.png")
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(SystemExit) as ended:
        main(["train", "image", str(folder), *TINY, "--steps", "1", "--out", str(tmp_path / "model")])
    written = capsys.readouterr().err.replace("\n", " ")
    assert not ended.value.code
    assert "2 of 12 could not be read" in written and "bomb.png" in written and "torn.png" in written


def test_a_model_folder_with_a_flipped_byte(refused, copied: Path):
    path = copied / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert "model.safetensors does not match" in refused("generate", copied, "a red apple")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "manifest.json", "prompt_tokenizer.json"])
def test_a_model_folder_with_a_missing_file(name: str, refused, copied: Path):
    (copied / name).unlink()
    assert f"{name} is missing" in refused("generate", copied)


def test_a_pickle_offered_as_a_model(refused, tmp_path: Path):
    (tmp_path / "model.pt").write_bytes(pickle.dumps({"weights": 1}))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": 1}))
    for reference in ("model.pt", "folder"):
        assert "pickle" in refused("generate", reference)


def test_an_unknown_part(refused, copied: Path):
    config = copied / "config.json"
    config.write_text(config.read_text().replace("processes.Flow", "processes.Flaw"))
    assert "config.json" in refused("generate", copied)  # its hash tells that it was changed


@pytest.mark.parametrize(
    "words,said",
    [
        (["train", "image", "PICTURES", "--recipe", "magic", "--steps", 1], "recipe 'magic'"),
        (["train", "dance", "PICTURES", "--steps", 1], "kind 'dance'"),
        (["train", "image", "PICTURES", "magic=1", "--steps", 1], "option 'magic=1'"),
        (["train", "image", "PICTURES", "width", "--steps", 1], "option 'width'"),
        (["train", "image", "PICTURES", "size=100000", "--steps", 1], "size=100000"),
        (["train", "image", "PICTURES", "size=-8", "--steps", 1], "size=-8"),
        (["train", "image", "PICTURES", "size=0", "--steps", 1], "size=0"),
        (["train", "image", "PICTURES", "size=31", "--steps", 1], "size=31"),
        (["train", "image", "PICTURES", "width=-1", "--steps", 1], "width=-1"),
        (["train", "image", "PICTURES", "layers=1.5", "--steps", 1], "layers=1.5"),
        (["train", "image", "PICTURES", "batch=-2", "--steps", 1], "batch=-2"),
        (["train", "image", "PICTURES", "rate=nan", "--steps", 1], "rate=nan"),
        (["train", "image", "PICTURES", "palette=1", "--steps", 1], "palette=1"),
        (["train", "image", "PICTURES", "prompts=songs", "--steps", 1], "prompts='songs'"),
        (["train", "image", "PICTURES", "--steps", 1, "--out", "."], "a folder for the model only"),
        (["train", "image", "PICTURES", "--steps", 1, "--out", ".."], "a folder for the model only"),
        (["train", "image", "PICTURES", "--steps", 0], "steps=0"),
        (["train", "image", "PICTURES", "--steps", -5], "steps=-5"),
        (["train", "image", "PICTURES", "--steps", "many"], "--steps"),
        (["train", "image", "PICTURES", "--budget", "1s"], "budget '1s'"),
        (["train", "image", "PICTURES", "--budget", "soon"], "budget 'soon'"),
        (["train", "image", "PICTURES", "--budget", "20s", "--steps", 5], "give one of the two"),
        (["train", "image", "PICTURES", "--steps", 1, "--seed", -1], "seed=-1"),
        (["train", "image", "PICTURES", "--steps", 1, "--seed", 2**63], f"seed={2**63}"),
        (["train", "image", "PICTURES", "--steps", 1, "--resume"], "nothing to resume"),
        (["train", "image", "PICTURES", "--steps", 1, "--from", "nowhere"], "no model 'nowhere'"),
        (["train", "text", "PICTURES", "--steps", 1], "no text files"),
        (["generate", "MODEL", "--count", 0], "count=0"),
        (["generate", "MODEL", "--count", 10**9], "count=1000000000"),
        (["generate", "MODEL", "--seed", -1], "seed=-1"),
        (["generate", "MODEL", "--seed", 2**63 - 1, "--count", 2], "seed="),
        (["generate", "MODEL", "--steps", 0], "steps=0"),
        (["generate", "MODEL", "--steps", 100000], "steps=100000"),
        (["generate", "MODEL", "--guidance", "nan"], "guidance=nan"),
        (["generate", "MODEL", "--guidance", -3], "guidance=-3"),
        (["generate", "MODEL", "red", "temperature=0.5"], "temperature=0.5"),
        (["generate", "MODEL", "red", "solver=magic"], "solver='magic'"),
        (["generate", "MODEL", "red", "shift=wide"], "shift=wide"),
        (["generate", "MODEL", "red", "tile=4"], "tile=4"),
        (["generate", "MODEL", "red", "--to", "blue", "frames=3"], "frames=3"),
        (["generate", "MODEL", "red", "apple"], "setting 'apple'"),
        (["generate", "MODEL", "red", "lines=2"], "lines=2"),
        (["generate", "MODEL", "red", "lines=yes"], "lines=yes is for texts"),
        (["generate", "MODEL", "x" * 100_000], "100,000 characters"),
        (["generate", "MODEL", "--mask", "mask.png"], "--where"),
        (["generate", "MODEL", "--given", "PICTURE", "--where", "nonsense"], "--where nonsense"),
        (["generate", "MODEL", "--given", "PICTURE", "--where", "0,0,900,9"], "box x,y,w,h within"),
        (["generate", "MODEL", "--image", "nothing.png", "--strength", 0.5], "nothing.png"),
        (["generate", "MODEL", "--image", "PICTURE", "--strength", 2], "strength=2"),
        (["generate", "MODEL", "--like", "PICTURE", "--strength", 0], "strength=0"),
        (["generate", "MODEL", "--image", "PICTURE"], "give --where"),
        (["generate", "MODEL", "--prompts", "nothing.csv"], "nothing.csv"),
        (["generate", "nowhere"], "no model 'nowhere'"),
        (["show", "nowhere"], "no model 'nowhere'"),
        (["sing"], "sing"),
        (["generate", "MODEL", "--loud"], "--loud"),
        (["train"], "kind"),
    ],
    ids=lambda value: " ".join(map(str, value))[:60] if isinstance(value, list) else "",
)
def test_words_that_cannot_be_done(words: list, said: str, refused, pictures: Path, model: Path):
    places = {"PICTURES": pictures, "MODEL": model, "PICTURE": next(pictures.iterdir())}
    assert said in refused(*(places.get(word, word) for word in words))


def test_a_disk_that_is_full_while_saving_leaves_the_model_whole(pictures: Path, copied: Path):
    """A limit on the size of files stands for the disk: large enough for the log, too small for the weights."""
    before = {path.name: path.read_bytes() for path in copied.iterdir()}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    words = ["train", "image", str(pictures), *TINY, "--steps", "2", "--out", str(copied)]
    run = subprocess.run(
        [sys.executable, "-B", "-c", MAIN, *words],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 2, run.stderr
    assert "cannot write" in run.stderr.splitlines()[-1] and "Traceback" not in run.stderr
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
    assert not [path for path in copied.parent.rglob("*") if ".tmp-" in path.name]
    models.load(copied)
