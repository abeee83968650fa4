"""Which models a server takes for what."""

from septet import models
from septet.backbones.transformer import Transformer
from septet.cli import serving
from septet.codecs.symbols import Symbols
from septet.conditioners.nothing import Nothing
from septet.generator import Generator
from septet.modalities.text import Text
from septet.processes.masked import Masked


def test_a_model_that_goes_on_from_no_text_leaves_texts_to_others(tmp_path):
    codec = Symbols(32)
    bert = Generator(Text(), codec, Masked(codec.space, Transformer(32, 1, 2)), Nothing())
    _, _, defaults = serving._models([str(models.save(bert, tmp_path / "bert", card={}))])
    assert {kind for kind, name in defaults.items() if name.endswith("bert")} == {"embedding", "generation"}
