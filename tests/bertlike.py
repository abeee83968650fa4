"""A sentence encoder of minute size with random weights, in the form in which others publish theirs."""

import json
import tempfile
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from septet.openweights import sentences
from septet.openweights.sentences import Encoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "kitten", "stock", "market", "##s", ".", "the", "sat"]
SHAPE = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
    "layer_norm_eps": 1e-12,
}


def tokenizer() -> Tokenizer:
    """Words and ends of words; cuts and pads as published ones do."""
    made = Tokenizer(models.WordPiece({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    made.enable_truncation(5)
    made.enable_padding(length=8)
    return made


def encoder() -> Encoder:
    """One as it is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        published(Path(folder))
        return sentences.read(Path(folder))


def published(folder: Path, **changed) -> transformers.BertModel:
    """Writes one to a folder, whose config says what is `changed`; gives the reference."""
    torch.manual_seed(0)
    reference = transformers.BertModel(transformers.BertConfig(**SHAPE)).eval()
    for parameter in reference.parameters():  # biases and norms too, which begin as nothing
        torch.nn.init.normal_(parameter, std=0.3)
    reference.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 16}))
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changed))
    return reference
