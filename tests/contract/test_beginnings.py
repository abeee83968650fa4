"""A prompt that is the beginning of a datum: the model goes on from it."""

import pytest

from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners.nothing import Nothing
from septet.conditioners.text import Text
from septet.generator import Generator, Given
from septet.modalities.text import Text as Prose
from septet.processes.autoregressive import Autoregressive
from septet.space import Refusal


@pytest.fixture(scope="module")
def writer() -> Generator:
    codec = Symbols(32, "characters", "abcdefgh ")
    return Generator(Prose(), codec, Autoregressive(codec.space, Transformer(32, 1, 2), 0.5), Nothing()).eval()


def test_a_prompt_is_the_beginning_where_the_modality_says_so(writer: Generator):
    assert writer.begins
    [whole] = writer.generate("abba", seed=3)
    [given] = writer.generate(given=Given("abba"), seed=3)
    assert whole.text.startswith("abba") and whole.text == given.text
    assert (whole.record["prompt"], whole.record["settings"]["given"]) == (None, {"text": "abba"})
    mixed = list(writer.generating([("abba", 3), ("bab", 4), ("bab", 5), (None, 6)], tile=1))
    assert [o.text[:2] for m in mixed for o in m.outputs][:3] == ["ab", "ba", "ba"]
    assert [m.done for m in mixed if m.outputs] == [1, 2, 3, 4] and {m.total for m in mixed} == {4}
    captioned = Generator(Prose(), writer.codec, writer.process, Text.learned(32, ["a red apple"], layers=1, inner=16))
    assert not captioned.begins


class Tune(Prose):
    """A string, judged by spans, that no prompt begins."""

    begins = False


def test_a_string_whose_modality_does_not_say_so_is_not_begun(writer: Generator):
    tuner = Generator(Tune(), writer.codec, writer.process, Nothing())
    assert tuner.modality.compares_spans and not tuner.begins
    with pytest.raises(Refusal, match="prompt 'abba': this model was trained without prompts"):
        tuner.generate("abba", seed=3)
