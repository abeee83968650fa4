"""Tokenizers as a GGUF file describes them."""

import json
from typing import Any

import pytest
from bytewise import tokenizer

from septet.codecs.symbols import Symbols
from septet.openweights.tokens import of_metadata


@pytest.mark.parametrize(
    "more, begun",
    [
        ({}, False),
        ({"pre": "llama-bpe"}, True),
        ({"pre": "llama-bpe", "add_bos_token": False}, False),
        ({"pre": "qwen2", "add_bos_token": True}, True),
        ({"add_bos_token": True, "bos_token_id": 10**9}, False),
    ],
)
def test_texts_begin_as_the_file_says(more: dict[str, Any], begun: bool):
    words = json.loads(tokenizer().to_str())["model"]["vocab"]
    tokens = [*sorted(words, key=words.__getitem__), "he"]
    told = {"model": "gpt2", "tokens": tokens, "merges": ["h e"], "bos_token_id": 0} | more
    asset = of_metadata({f"tokenizer.ggml.{name}": value for name, value in told.items()}, "here")
    codec = Symbols(64, "bpe", tokenizer=asset)
    plain = codec.symbols_of("hey", begun=False).tolist()
    assert plain and codec.symbols_of("hey").tolist() == [0] * begun + plain
