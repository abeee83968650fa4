"""What a published model's folder may say of its tokenizer and its ends."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from bytewise import SHAPE, tokenizer

import septet
from septet.space import Refusal


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE)).save_pretrained(tmp_path)
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_of_several_ends_the_conversations_counts(plain: Path):
    (plain / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 256]}))
    assert septet.load(plain).codec.space.markers["end"] == 7
    (plain / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>"}))
    assert septet.load(plain).codec.space.markers["end"] == 256


def test_a_tokenizer_cuts_and_pads_nothing(plain: Path):
    made = tokenizer()
    made.enable_truncation(5)
    made.enable_padding(length=8)
    made.save(str(plain / "tokenizer.json"))
    codec = septet.load(plain).codec
    assert codec.text_of(codec.symbols_of("the quick brown fox " * 9)) == "the quick brown fox " * 9
    assert len(codec.symbols_of("x")) == 1


def test_a_tokenizer_of_more_symbols_than_the_table_is_refused(plain: Path):
    made = tokenizer()
    made.add_special_tokens([f"<{n}>" for n in range(9)])
    made.save(str(plain / "tokenizer.json"))
    with pytest.raises(Refusal, match="tokenizer has .* tokens, its embedding 257"):
        septet.load(plain)
