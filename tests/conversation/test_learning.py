"""Learning from conversations: files of JSON lines, of which the replies alone carry a loss."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from talkers import talker

from septet.codecs.symbols import Symbols
from septet.contracts import Context
from septet.data.dataset import read
from septet.modalities.text import Text, messages_of
from septet.recipes.text_gpt import stream
from septet.space import PADDING, Refusal, input_only, inputs

TALK = [
    {"role": "user", "content": "hey"},
    {"role": "assistant", "content": "ho"},
    {"role": "user", "content": "x"},
    {"role": "assistant", "content": "yes"},
]
LINES = [{"messages": TALK}, {"text": "plain"}, {"messages": TALK[:2], "id": 7}]


def written(folder: Path, *lines: str) -> Path:
    path = folder / "talk.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_each_line_is_an_item(tmp_path: Path):
    found = read(written(tmp_path, *map(json.dumps, LINES), ""), Text(), held_out=0)
    assert [item.source for item in found] == ["talk.jsonl#0", "talk.jsonl#1", "talk.jsonl#2"]
    assert found[1].datum == "plain" and json.loads(found[2].datum) == {"messages": TALK[:2]}


def test_lines_without_a_word_are_passed_over_and_bad_ones_named(tmp_path: Path):
    lines = ['{"text": "plain"}', '{"text": " "}', "", '{"text": "more"}']
    assert [item.datum for item in read(written(tmp_path, *lines), Text(), held_out=0)] == ["plain", "more"]
    with pytest.raises(Refusal, match="line 5 contains half a character"):
        read(written(tmp_path, *lines, '{"text": "\\ud800"}'), Text())


def test_of_a_conversation_the_replies_count_as_the_models_words():
    said = json.dumps({"messages": TALK})
    assert talker().modality.postprocess(said) == "ho\nyes" and Text().postprocess(said) == said


def test_a_conversation_may_stand_among_other_keys(tmp_path: Path):
    found = read(written(tmp_path, json.dumps({"id": 7, "messages": TALK[:2]})), Text())
    assert messages_of(found[0].datum) == TALK[:2]


@pytest.mark.hostile
@pytest.mark.parametrize(
    "line, said",
    [
        ("{", "is not JSON"),
        ("[1]", "expected"),
        ('{"messages": [{"role": "wizard", "content": "x"}]}', "expected"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "expected"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str, said: str):
    with pytest.raises(Refusal, match=f"line 2.*{said}"):
        read(written(tmp_path, json.dumps(LINES[0]), line), Text())


def test_only_replies_are_told_and_the_rest_is_heard():
    model: Any = talker()
    symbols = stream(model.codec, [json.dumps({"messages": TALK})], model.modality)
    assert model.codec.text_of(inputs(symbols)) == "u:hey\na:ho\nu:x\na:yes\n"
    assert model.codec.text_of(torch.where(symbols < 0, PADDING, symbols)) == "ho\nyes\n"


def test_what_is_only_heard_carries_no_loss_and_changes_what_is_told():
    process: Any = talker().process
    symbols = torch.randint(0, 200, (3, 20))
    part = symbols.clone()
    part[:, :12] = input_only(part[:, :12])
    nats = process.likelihood(symbols, Context())
    told = process.likelihood(part, Context())
    assert not told[:, :12].any() and torch.equal(told[:, 12:], nats[:, 12:])
    assert process.validation(part, Context())["weight"] == 3 * 8
    assert torch.isclose(process.validation(part, Context())["loss"], nats[:, 12:].mean())


def test_a_batch_in_which_all_is_heard_has_no_loss():
    process: Any = talker().process
    all_heard = input_only(torch.randint(0, 200, (3, 20)))
    loss, _ = process.loss(all_heard, Context(), "model", 0.0)
    loss.backward()
    assert float(loss.detach()) == 0 and process.validation(all_heard, Context())["weight"] == 0
    assert all(bool(torch.isfinite(p.grad).all()) for p in process.parameters() if p.grad is not None)
    assert float(process.validation(all_heard, Context())["loss"].detach()) == 0


def test_a_model_that_does_not_converse_refuses_conversations():
    with pytest.raises(Refusal, match="a model with a chat template"):
        stream(Symbols(64), [json.dumps({"messages": TALK})], Text())
