"""Plain text: encodings, binary files, records, features, sketches."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counting import lines_run
from tokenizers import Tokenizer, decoders
from tokenizers.models import WordLevel

from septet.codecs.symbols import Symbols
from septet.data.duplicates import jaccard
from septet.modalities.text import Text, decode
from septet.part import Asset
from septet.space import Refusal

PROSE = "The sea was calm and the boats lay still. Nobody spoke, for there was nothing left to say about it.\n" * 3


@pytest.mark.parametrize(
    "content",
    [
        "Größe – 日本\n".encode(),
        "Größe – 日本\n".encode("utf-8-sig"),
        "Größe – 日本\n".encode("utf-16"),
        b"\xff\xfe\0\0" + "Größe – 日本\n".encode("utf-32-le"),
        b"\xfe\xff" + "Größe – 日本\n".encode("utf-16-be"),
        "Größe – 日本\r\n".encode(),
    ],
)
def test_unicode_is_read_as_its_mark_says(tmp_path: Path, content: bytes):
    (tmp_path / "a.txt").write_bytes(content)
    assert Text().read(tmp_path / "a.txt") == "Größe – 日本\n"


def test_old_encodings_follow_a_rule():
    assert decode("naïve “quotes”".encode("cp1252")) == "naïve “quotes”"
    assert decode(b"caf\xe9 \x81") == "caf\xe9 \x81"  # 0x81 is not in Windows-1252


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0", "binary"),
        (bytes(range(1, 32)) * 20, "binary"),
        (b"\xff\xfea", "utf-16"),
        (b"", "no text"),
        (b" \n\t", "no text"),
    ],
)
def test_what_holds_no_text_is_refused(tmp_path: Path, content: bytes, said: str):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(Refusal, match=rf"a\.txt: .*{said}"):
        Text().read(tmp_path / "a.txt")


def test_what_is_no_string_is_refused(tmp_path: Path):
    for value, said in ((5, "int"), ("\ud800", "surrogate"), ("", "no text")):
        with pytest.raises(Refusal, match=said):
            Text().take(value)
    with pytest.raises(Refusal, match="no such"):
        Text().read(tmp_path / "none.txt")


def test_text_and_record_are_written(tmp_path: Path):
    Text().write("Größe\n", tmp_path / "a.txt", {"seed": 3})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "a.txt.json"]
    assert (tmp_path / "a.txt").read_bytes() == "Größe\n".encode()
    assert json.loads((tmp_path / "a.txt.json").read_text()) == {"seed": 3}


def test_the_end_of_a_text_is_cut_off():
    assert Text().cut("0123456789", 0.1) == ("012345678", "9")
    assert Text().cut("0", 0.1) is None


def test_features_follow_likeness():
    other = "def total(values): return sum(value for value in values if value is not None)"
    features = Text().features([PROSE, PROSE.replace("calm", "rough"), other, "", "ab"])
    assert features.shape == (5, 1024) and features.dtype == torch.float32 and bool(torch.isfinite(features).all())
    assert torch.allclose(features[:3].norm(dim=1), torch.ones(3), atol=1e-5)
    assert (features[0] - features[1]).norm() < 0.5 * (features[0] - features[2]).norm()
    assert torch.equal(features, Text().features([PROSE, PROSE.replace("calm", "rough"), other, "", "ab"]))


def test_sketches_tell_near_copies_from_other_texts():
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abcdefghij"), 5)) for _ in range(400)]
    text, changed = " ".join(words), " ".join([*words[:200], "new", *words[201:]])
    other = " ".join("".join(random.choice(list("abcdefghij"), 5)) for _ in range(400))
    assert jaccard(Text().shingles(text), Text().shingles(changed.upper())) > 0.9
    assert jaccard(Text().shingles(text), Text().shingles(other)) < 0.3


def test_the_preview_shows_the_first_lines():
    picture = Text().preview(PROSE, 128)
    assert picture.size == (128, 128) and picture.mode == "RGBA"
    assert picture.tobytes() != Text().preview("x", 128).tobytes()


def test_a_million_characters_are_hashed_together():
    text = "abcdefghijklmnopqrst" * 50_000
    Text().features(["a"])  # what it loads is loaded
    assert lines_run(lambda: Text().features([text])) < 2000


def test_bytes_are_told_where_a_tokenizer_tells_them():
    text = "Größe 日\n"
    for tokens in ("bytes", "characters", "300"):
        codec: Any = Symbols.learned([text], tokens, 64)
        raw = [codec.bytes_of(symbol) for symbol in codec.symbols_of(text).tolist()]
        assert b"".join(each or b"" for each in raw) == text.encode()
        assert codec.bytes_of(codec.space.markers["end"]) == b""
    other = Tokenizer(WordLevel({"▁sea": 0, "<pad>": 1}, "<pad>"))
    other.decoder = decoders.Metaspace()
    other.add_tokens(["<pad>"])
    codec = Symbols(8, "bpe", tokenizer=Asset("tokenizer.json", other.to_str()))
    assert (codec.bytes_of(0), codec.bytes_of(1)) == (None, b"<pad>")
