"""Whatever stands in a tokenizer from elsewhere, the answer is a sentence: when it is opened, or when it is used."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from bytewise import END, tokenizer

from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners import text as conditioners
from septet.part import Asset
from septet.space import Refusal

FAR = 10**9
TOKEN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
LONG = "a" * 40 + "b"  # where a pattern of two nested repeats is given up
COMPILED = base64.b64encode(bytes([255, 255, 255, 127, 0, 0, 0, 0])).decode()  # a table of 2 GB follows, it says


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def begun(special: dict[str, Any]) -> dict[str, Any]:
    pieces = [{"SpecialToken": {"id": "q", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {"type": "TemplateProcessing", "single": pieces, "pair": [], "special_tokens": special}


def told(change: Callable[[dict[str, Any]], object]) -> Asset:
    tree = json.loads(tokenizer().to_str())
    change(tree)
    return Asset("tokenizer.json", json.dumps(tree))


FOREIGN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "far symbol": (lambda t: t["model"]["vocab"].update(a=FAR), "has 1,000,000,001 tokens, its embedding 257"),
    "far added token": (lambda t: t["added_tokens"].append(TOKEN | {"id": FAR, "content": "zz"}), "its embedding 257"),
    "far beginning": (
        lambda t: t.update(post_processor=begun({"q": {"id": "q", "ids": [FAR], "tokens": ["q"]}})),
        "has 1,000,000,001 tokens",
    ),
    "unknown beginning": (lambda t: t.update(post_processor=begun({})), "cannot take '' .no entry found"),
    "given up": (lambda t: t.update(pre_tokenizer=split("(a+)+c")), "cannot take 'a{40}' .*retry-limit"),
    "no pattern": (lambda t: t.update(pre_tokenizer=split("(")), "cannot be opened"),
    "compiled": (
        lambda t: t.update(normalizer={"type": "Precompiled", "precompiled_charsmap": COMPILED}),
        "is not supported",
    ),
    "compiled in a sequence": (
        lambda t: t.update(
            normalizer={"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": COMPILED}]}
        ),
        "is not supported",
    ),
    "nothing known": (lambda t: t["model"].update(vocab={}, merges=[], unk_token="x"), "cannot take 'aaa"),
    "a list": (lambda t: t.clear(), "cannot be opened"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_codecs_tokenizer_from_elsewhere(name: str):
    change, said = FOREIGN[name]
    with pytest.raises(Refusal, match=said) as refused:
        Symbols(64, "bpe", tokenizer=told(change), markers={"end": END}, symbols=END + 1).encode([LONG])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["given up", "unknown beginning", "no pattern", "compiled"])
def test_a_conditioners_tokenizer_from_elsewhere(name: str):
    change, said = FOREIGN[name]
    with pytest.raises(Refusal, match=said):
        conditioners.Text(32, Transformer(32, 1, 2), told(change), ["a"]).prepare([LONG])


def test_a_conditioners_table_is_as_large_as_its_symbols_are_far():
    """So that a file of weights that does not hold it is refused."""
    asset = told(lambda t: t["model"]["vocab"].update(a=300))
    assert conditioners.Text(32, Transformer(32, 1, 2), asset, ["a"]).state_dict()["embedding.weight"].shape[0] == 303


def test_half_a_character_is_a_sentence():
    words = Asset("tokenizer.json", tokenizer().to_str())
    for codec in (Symbols(64, "bpe", tokenizer=words), Symbols(64)):
        with pytest.raises(Refusal, match=r"cannot take '\\ud800'"):
            codec.encode(["\ud800"])
    with pytest.raises(Refusal, match=r"cannot take '\\ud800'"):
        conditioners.Text(32, Transformer(32, 1, 2), words, ["a"]).prepare(["\ud800"])


def test_padding_that_a_tokenizer_asks_for_is_left_out():
    fixed = {"strategy": {"Fixed": FAR}, "direction": "Right", "pad_to_multiple_of": None}
    fixed |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
    asset = told(lambda t: t.update(padding=fixed))
    assert conditioners.Text(32, Transformer(32, 1, 2), asset, ["a"]).prepare(["ab"]).shape == (1, 2)
