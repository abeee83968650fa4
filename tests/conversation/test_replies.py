"""Replies: whole characters, stops, a context that fills up, and messages that are no messages."""

import pytest
from coder import codec_of
from talkers import talker

from septet import Conversation
from septet.generator import Generator
from septet.modalities.text import Text
from septet.space import Refusal
from septet.text_inference.conversation import Telling, decoding_of, prompt_of, replying, requested

HEY = [{"role": "user", "content": "hey"}]


def whole(model: Generator, **settings) -> str:
    return "".join(replying(model, decoding_of(model), HEY, length=40, **settings))


def test_pieces_are_whole_characters_and_the_same_for_the_same_seed():
    model = talker()
    pieces = list(replying(model, decoding_of(model), HEY, seed=3, length=40))
    assert len(pieces) > 3 and "".join(pieces) == whole(model, seed=3) != whole(model, seed=4)
    assert all("\ufffd" not in piece[-1:] for piece in pieces[:-1])


def test_a_stop_text_ends_the_reply_before_it():
    model = talker()
    said = whole(model, seed=3)
    stop = said[10:13]
    assert whole(model, seed=3, stop=[stop, "not there"]) == said[: said.index(stop)]


def test_symbols_behind_a_stop_do_not_count():
    model = talker()
    codec = codec_of(model)
    request = requested(model, codec.symbols_of("x"), 20, 0, {})
    telling = Telling(model, request, ["cd", "e"])
    request.drawn = codec.symbols_of("abcdef").tolist()
    assert (telling.fresh(), telling.stopped, telling.count) == ("ab", True, 3)


def test_a_conversation_keeps_both_sides_and_forgets_the_oldest_when_full():
    talk = Conversation(talker(96), [{"role": "system", "content": "be brief"}])
    for turn in range(4):
        said = "".join(talk.reply("x" * 20, seed=turn, length=30))
        assert talk.messages[-1] == {"role": "assistant", "content": said}
    assert [m["role"] for m in talk.messages] == ["system"] + ["user", "assistant"] * 4


def test_what_is_left_of_a_long_conversation_begins_with_what_the_user_says(monkeypatch):
    model, rendered = talker(128), []
    said = [{"role": ("user", "assistant")[n % 2], "content": f"{n:03d}"} for n in range(301)]
    whole = Text.conversation
    monkeypatch.setattr(Text, "conversation", lambda text, kept: rendered.append(kept) or whole(text, kept))
    symbols = prompt_of(model, [{"role": "system", "content": "brief"}, *said], 60)
    assert len(symbols) <= 68 and len(rendered) < 12
    text = codec_of(model).text_of(symbols)
    assert text.startswith("s:brief\nu:") and text.endswith("u:300\na:") and text.count("\n") % 2 == 0
    with pytest.raises(Refusal, match="the model reads 128"):
        prompt_of(model, said, 128)


def test_what_can_never_fit_is_refused_and_nothing_is_kept():
    talk = Conversation(talker(64))
    with pytest.raises(Refusal, match="the model reads 64"):
        list(talk.reply("x" * 200, length=8))
    assert talk.messages == []


def test_a_model_without_a_template_and_a_message_without_a_role_are_refused():
    model = talker()
    with pytest.raises(Refusal, match="expected a role"):
        Conversation(model, [{"role": "wizard", "content": "x"}])
    model.modality = Text()
    with pytest.raises(Refusal, match="is not a chat model"):
        Conversation(model)


def test_a_reply_that_nobody_listens_to_any_more_is_dropped_and_the_next_is_whole():
    talk = Conversation(talker())
    pieces = talk.reply("hey", seed=3, length=40)
    next(pieces)
    pieces.close()
    assert not talk.decoding.busy and talk.messages == []
    assert "".join(talk.reply("hey", seed=3, length=40)) == whole(talk.model, seed=3)
