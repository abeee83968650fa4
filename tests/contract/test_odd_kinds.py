"""Four kinds of content that septet does not ship, each a modality and a recipe in the folder `odd` and nothing else,
go through everything that the command line and the server do: sounds of unequal lengths, clips, voxels of four
materials, pairs of a word and a picture."""

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installed import installed

from septet import models, runs
from septet.audits import origin
from septet.modalities.digests import digest
from septet.storage import references

ODD = Path(__file__).parent / "odd"
STEPS = 12
RECIPES = {"tones": "tones_gpt", "clips": "clips_flow", "voxels": "voxels_bert", "pairs": "pairs_gpt"}
PARTS = {"tones": "0.01-0.02 s", "clips": "frame 2", "voxels": "upper half", "pairs": "picture"}
COUNT = 60


@pytest.fixture(scope="module", autouse=True)
def shelf() -> Iterator[None]:
    """The two files of each kind lie where septet's own do."""
    with installed(ODD):
        yield


def kind_class(kind: str) -> Any:
    """The kind's modality."""
    return models.find_part(kind.capitalize())


def example(kind: str, stream: np.random.Generator) -> Any:
    """One datum that a small network can learn something of."""
    if kind == "tones":
        length, pitch = stream.integers(24, 64), stream.integers(1, 6)
        wave = np.sin(np.arange(length)[:, None] * pitch / 5 + stream.random(2))
        return wave.astype(np.float32)
    if kind == "clips":
        colour = stream.integers(60, 256, 3)
        clip = np.zeros((4, 8, 8, 3), np.uint8)
        for frame, left in enumerate(range(int(stream.integers(0, 3)), 8, 2)):
            clip[frame % 4, 2:6, left : left + 2] = colour - frame
        return clip
    if kind == "voxels":
        cubes = np.zeros((8, 8, 8, 4), np.uint8)
        low, high = sorted(stream.choice(9, 2, replace=False).tolist())
        cubes[low:high, 1:7, : stream.integers(2, 9), stream.integers(0, 4)] = stream.integers(128, 256)
        return cubes
    row = stream.integers(0, 4)
    picture = (stream.integers(0, 2, (4, 4)) * 85).astype(np.uint8)
    picture[row] = 255
    return {"word": ["top", "high", "low", "bottom"][row], "picture": picture}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a kind's files."""
    root = tmp_path_factory.mktemp("odd")

    def folder(kind: str) -> Path:
        target = root / kind
        if not target.exists():
            target.mkdir()
            stream, modality = np.random.default_rng(0), kind_class(kind)()
            for number in range(COUNT):
                name = f"{('red', 'blue', 'green')[number % 3]} thing-{number:02}{modality.suffixes[0]}"
                modality.write(example(kind, stream), target / name, {})
            for left in target.glob("*.json"):
                left.unlink()  # records that these are no outputs of ours
        return target

    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a kind's model, trained in one go."""
    root = tmp_path_factory.mktemp("models")

    def folder(kind: str) -> Path:
        if not (root / kind).exists():
            runs.train(data(kind), RECIPES[kind], root / kind, steps=STEPS)
        return root / kind

    return folder


@pytest.fixture(params=list(RECIPES))
def kind(request) -> str:
    return request.param


@pytest.fixture
def works(septet, tmp_path: Path, monkeypatch) -> Callable[..., str]:
    """Runs a command line in an empty folder, which must succeed; gives what it says."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> str:
        code, out, err = septet(*words)
        assert code == 0, err
        return out

    return run


def made(folder: Path, kind: str) -> list[Path]:
    suffix = kind_class(kind).suffixes[0]
    return sorted(path for path in folder.glob(f"*{suffix}"))


def test_it_trains_by_its_recipes_name_and_keeps_evidence(kind: str, data, works):
    told = works("train", data(kind), "--recipe", RECIPES[kind], "--steps", STEPS, "--out", "mine")
    assert "saved mine" in told and "generate mine" in told
    assert (Path("mine") / "evidence.safetensors").is_file()
    assert "captions" not in told or kind != "pairs"
    facts = json.loads(Path("mine/run.json").read_text())
    assert facts["training"] + facts["held_out"] == COUNT  # no two of them are taken for the same


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(kind: str, data, trained, works, tmp_path: Path):
    run = runs.training(data(kind), RECIPES[kind], tmp_path / "mine", steps=STEPS, checkpoint_seconds=0)
    for step in itertools.islice(run, STEPS // 2 + 4):
        pass
    run.close()  # pyright: ignore[reportAttributeAccessIssue]
    works("train", data(kind), "--recipe", RECIPES[kind], "--resume", "--out", "mine")
    assert (tmp_path / "mine" / "model.safetensors").read_bytes() == (trained(kind) / "model.safetensors").read_bytes()


def test_it_draws_and_every_file_tells_what_made_it(kind: str, trained, works):
    works("generate", trained(kind), "--count", 3, "--seed", 5)
    files = made(Path("made"), kind)
    assert len(files) == 3
    assert f"the model {kind}" in works("check", files[0])
    told = works("audit", files[0], "--model", trained(kind))
    assert "gives an identical result" in told
    page, modality = Path(f"made/{files[0].stem}-audit/index.html").read_text(), kind_class(kind)()
    assert files[0].name in page
    assert modality.html(modality.read(files[0]), origin.LARGE) in page  # all of it, as the modality shows it


def test_a_file_that_was_changed_is_found_out(kind: str, trained, works):
    works("generate", trained(kind), "--seed", 5)
    modality, path = kind_class(kind)(), made(Path("made"), kind)[0]
    record, stream = modality.record(path), np.random.default_rng(1)
    assert record is not None
    modality.write(example(kind, stream), path, record)
    assert "gives another result" in works("audit", path, "--model", trained(kind))


def test_what_is_given_comes_back_exactly_around_the_part_drawn_anew(kind: str, data, trained, works):
    given = sorted(data(kind).iterdir())[3]
    modality = kind_class(kind)()
    works("generate", trained(kind), "--given", given, "--where", PARTS[kind], "--count", 2)
    before = modality.read(given)
    where = modality.region(PARTS[kind], before)
    for path in made(Path("made"), kind):
        drawn = modality.read(path)
        assert digest(modality.read(path)) == digest(modality.compose(drawn, before, where))  # it holds all of it
        assert digest(drawn) != digest(before) or kind == "pairs"


def test_content_that_is_gone_on_from_is_kept_exactly(trained, data, works):
    given = sorted(data("tones").iterdir())[3]
    works("generate", trained("tones"), "--given", given)
    modality = kind_class("tones")()
    before, after = modality.read(given), modality.read(made(Path("made"), "tones")[0])
    assert len(after) >= len(before) and (after[: len(before)] == before).all()  # the codec keeps eight levels alone


def test_a_part_that_it_has_not_is_refused(kind: str, data, trained, septet, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = sorted(data(kind).iterdir())[0]
    code, _, err = septet("generate", trained(kind), "--given", given, "--where", "the middle of nowhere")
    assert code == 2 and "the middle of nowhere" in err and len(err.splitlines()) == 1


def test_a_folder_is_audited(kind: str, data, works):
    told = works("audit", data(kind), *(["--kind", kind] if kind == "clips" else []))  # pictures end in .webp too
    assert f"{COUNT} {kind} files" in told and "exact duplicates" not in told
    page = Path(f"made/{kind}-audit/index.html").read_text()
    assert ("<audio" in page) == (kind == "tones")


def test_a_model_is_audited(kind: str, data, trained, works):
    told = works("audit", trained(kind), "--count", 12, "--out", "report")
    assert "Of 12 outputs" in told and "Fidelity was not measured" not in told
    assert Path("report/index.html").is_file()


def test_it_is_served(kind: str, trained):
    from fastapi.testclient import TestClient

    from septet.cli import serving
    from septet.serve.api import Server, application
    from septet.serve.engine import Engine

    engine = Engine(models.load)
    server = Server(engine, lambda: [str(trained(kind))], {})
    with TestClient(application(server)) as client:
        asked = {"model": str(trained(kind)), "n": 2, "seed": 5}
        answer = client.post("/v1/generations", json=asked)
        refused = client.post("/v1/images/generations", json=asked | {"prompt": "red"})
    assert refused.status_code == 400 and f"generates {kind}, not pictures" in refused.text
    _, _, defaults = serving._models([str(trained(kind))])
    assert {use for use, name in defaults.items() if name == str(trained(kind))} == {"generation"}
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    assert len(found) == 2 and found[0]["record"]["seed"] == 5
    assert base64.b64decode(found[0]["b64"])


def test_it_is_in_the_gallery(kind: str, trained, works, tmp_path: Path, monkeypatch):
    from septet.cli import gallery

    shop = tmp_path / "starters"
    shop.mkdir()
    (shop / kind).symlink_to(trained(kind))
    monkeypatch.setattr(references, "STARTERS", shop)
    monkeypatch.setattr(gallery, "_answered", lambda: iter(()))  # it would be fetched
    shown = [outputs for title, outputs in gallery._drawn() if kind in title]
    assert shown and all(output.modality.name == kind for output in shown[0])
    assert all(output.modality.html(output.datum) in gallery._figure(output, Path("a")) for output in shown[0])


def test_canaries_that_are_not_made_for_it_are_refused(kind: str, data, septet, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = septet("train", data(kind), "--recipe", RECIPES[kind], "--steps", 2, "--canaries", 3)
    assert code == 2 and "no canaries are made" in err


def test_it_cannot_be_exported_and_that_is_said(kind: str, trained, septet, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = septet("export", trained(kind), "--out", "exported")
    assert code == 2 and len(err.splitlines()) == 1 and not (tmp_path / "exported").exists()
