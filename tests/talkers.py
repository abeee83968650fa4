"""Untrained models of bytes: one that converses, one that fills gaps."""

import torch
from bytewise import END, tokenizer

from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners.nothing import Nothing
from septet.generator import Generator
from septet.modalities.text import Text
from septet.part import Asset
from septet.processes.autoregressive import Autoregressive

TEMPLATE = "{% for m in messages %}{{ m['role'][0] + ':' + m['content'] + '\n' }}{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %}a:{% endif %}"


def talker(sites: int = 64) -> Generator:
    """An untrained byte model that says anything, and can converse."""
    codec = Symbols(
        sites, "bpe", tokenizer=Asset("tokenizer.json", tokenizer().to_str()), markers={"end": END}, symbols=END + 1
    )
    torch.manual_seed(0)
    process = Autoregressive(codec.space, Transformer(32, 1, 2), start=False, tied=True)
    return Generator(Text(Asset("chat_template.jinja", TEMPLATE)), codec, process, Nothing()).eval()


def filler(sites: int = 128, characters: str = "") -> Generator:
    """It says anything, in bytes or in the given characters, and takes a text before and a text after."""
    codec = Symbols(sites, "characters" if characters else "bytes", characters)
    torch.manual_seed(0)
    return Generator(Text(), codec, Autoregressive(codec.space, Transformer(32, 1, 2), fill=0.5), Nothing()).eval()
