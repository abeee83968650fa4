"""Texts as points: of unit length, alike for like texts, whole for texts in pieces, from GPT and BERT."""

import pytest
import torch
from talkers import filler, talker

from septet import embed
from septet.backbones.transformer import Transformer
from septet.codecs.patches import Patches
from septet.codecs.symbols import Symbols
from septet.conditioners.nothing import Nothing
from septet.generator import Generator
from septet.modalities.image import Image
from septet.modalities.text import Text
from septet.processes.flow import Flow
from septet.processes.masked import Masked
from septet.space import Refusal
from septet.text_inference.embedding import nearest


def bert(sites: int = 64) -> Generator:
    codec = Symbols(sites)
    torch.manual_seed(0)
    return Generator(Text(), codec, Masked(codec.space, Transformer(32, 1, 2)), Nothing()).eval()


@pytest.mark.parametrize("made", [talker, filler, bert])
def test_the_nearest_passage_is_the_same_text(made):
    passages = ["a cat sat", "0123456789", "THE END", "a" * 300, ""]
    model = made()
    points = embed(model, passages)
    assert torch.allclose(points.norm(dim=1), torch.ones(5))
    for number, passage in enumerate(passages):
        [(found, cosine), *_] = nearest(model, passage, passages)
        assert found == number and cosine > 1 - 1e-5
    assert torch.allclose(embed(model, passages[:1])[0], points[0], atol=1e-5)


@pytest.mark.parametrize("made", [talker, bert])
def test_what_a_model_makes_of_all_texts_alike_is_subtracted(made):
    model = made()
    with torch.no_grad():
        model.process.table.weight += 3  # now all states have much in common
    points = embed(model, ["a cat", "a kitten", "stock market", "for three years", "the end of the road"])
    cosines = points @ points.T
    assert float(cosines[0, 1:].mean()) < 0.5 and float(cosines.min()) < 0


def test_a_model_without_words_is_refused():
    codec = Patches(8, 4, 4)
    painter = Generator(Image(8), codec, Flow(codec.space, Transformer(32, 1, 2, modulated=True)), Nothing())
    with pytest.raises(Refusal, match="is not a text model"):
        embed(painter, ["x"])
