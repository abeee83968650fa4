"""What every conditioner promises: prompts in, a Context out, and "nothing" for no prompt."""

import pytest
import torch

from septet.conditioners.attributes import Attributes, Labels
from septet.conditioners.nothing import Nothing
from septet.conditioners.prompts import words_of
from septet.conditioners.text import Text
from septet.part import assets, build, describe
from septet.space import Refusal
from septet.storage.references import find_part

KINDS = {
    "nothing": (Nothing, None),
    "attributes": (Attributes, "colour=red, size=large"),
    "text": (Text, "a red apple"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_what_an_absent_prompt_says(kind: str):
    conditioner = KINDS[kind][0].tiny()
    assert torch.equal(conditioner.nothing(2), conditioner.prepare([None, None]))
    assert torch.equal(conditioner.nothing(1), conditioner.prepare([""]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_means_the_same_in_any_batch(kind: str):
    part, prompt = KINDS[kind]
    conditioner = part.tiny().eval()
    alone = conditioner(conditioner.prepare([prompt]))
    among = conditioner(conditioner.prepare([None, prompt, prompt])).rows([1])
    for one, other in ((alone.vector_BD, among.vector_BD), (alone.tokens_BMD, among.tokens_BMD)):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert torch.allclose(one, other[:, : one.shape[1]] if one.dim() == 3 else other, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_rebuilt_from_its_description(kind: str):
    part, prompt = KINDS[kind]
    conditioner = part.tiny().eval()
    texts = assets(conditioner)
    again = build(describe(conditioner), find_part, lambda name: texts[name].content).eval()
    again.load_state_dict(conditioner.state_dict())
    first, second = (c(c.prepare([prompt])).vector_BD for c in (conditioner, again))
    if kind == "nothing":
        assert first is None and second is None
    else:
        assert torch.equal(first, second)


def test_text_does_not_see_its_padding():
    conditioner = Text.tiny().eval()
    short = conditioner.prepare(["bell"])
    wide = torch.nn.functional.pad(short, (0, 8))
    one, other = conditioner(short).vector_BD, conditioner(wide).vector_BD
    assert one is not None and other is not None
    assert torch.allclose(one, other, atol=1e-6)


def test_examples_are_prompts_in_the_words_of_training():
    assert Nothing().examples() == [None] and Labels(8, ["cat", "dog"]).examples() == ["cat", "dog"]
    two = Attributes.tiny()
    assert two.examples() == [{"colour": "red", "size": "small"}, {"colour": "blue", "size": "large"}]
    text = Text.learned(32, ["a red apple", "an apple"], layers=1, inner=16)
    assert text.examples() == ["apple", "red"] and len(text.prepare(text.examples())) == 2


def test_text_tells_unseen_words_and_refuses_a_book():
    conditioner = Text.tiny()
    assert conditioner.unseen("A red Zeppelin, apple") == ["zeppelin"]
    assert conditioner.unseen("an otter under the moon, without it") == ["otter", "under", "moon", "without"]
    with pytest.raises(Refusal, match="100,000 characters"):
        conditioner.prepare(["x" * 100_000])


def test_attributes_take_dicts_and_pairs_and_name_what_they_do_not_know():
    conditioner = Attributes.tiny()
    assert torch.equal(conditioner.prepare([{"colour": "blue"}]), conditioner.prepare(["colour=blue"]))
    assert conditioner.prepare([{"size": "large"}]).tolist() == [[0, 2]]
    with pytest.raises(Refusal, match="green.*red, blue"):
        conditioner.prepare([{"colour": "green"}])
    with pytest.raises(Refusal, match="shape.*colour, size"):
        conditioner.prepare([{"shape": "round"}])


def test_labels_are_one_attribute_and_take_a_bare_value():
    conditioner = Labels(8, ["cat", "dog"])
    assert conditioner.prepare(["dog", None]).tolist() == [[2], [0]]


def test_nothing_refuses_a_prompt():
    with pytest.raises(Refusal, match="without prompts"):
        Nothing().prepare(["a cat"])


def test_learned_attributes_put_numbers_in_order():
    conditioner = Attributes.learned(4, ["10", "2", "1"])
    assert conditioner.values == {"label": ["1", "2", "10"]}


def test_words_are_lower_case_and_without_punctuation():
    assert words_of("Bell-off, it's 2_ways") == ["bell", "off", "it's", "2", "ways"]
