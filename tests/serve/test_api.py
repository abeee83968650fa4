"""The API as OpenAI's own client sees it, over a socket of this machine, and what it refuses."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import torch
from serving import HEY, PATIENCE, Running, speaks_ipv6
from talkers import talker

from septet import embed
from septet.serve.bodies import Chat
from septet.text_inference.conversation import decoding_of, replying


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server in a process that reaches no other machine."""
    connect = socket.socket.connect

    def local(this: socket.socket, address: Any) -> None:
        if this.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            raise AssertionError(f"a connection to {address}")
        connect(this, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local)
        with socket.socket() as probe, pytest.raises(AssertionError, match="a connection to"):
            probe.connect(("192.0.2.1", 80))
        server = Running()
        yield server
        server.stop()


def asked(running: Running, **more):
    return running.client.chat.completions.create(model="talker", messages=HEY, seed=3, max_tokens=40, **more)


def test_a_chat_says_what_the_model_says(running: Running):
    model = talker(256)
    said = "".join(replying(model, decoding_of(model), HEY, seed=3, length=40))
    whole = asked(running)
    assert whole.choices[0].message.content == said
    assert whole.usage.completion_tokens <= 40 and whole.choices[0].finish_reason in ("stop", "length")
    pieces = list(asked(running, stream=True, stream_options={"include_usage": True}))
    assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == said
    assert pieces[-1].usage == whole.usage and pieces[-2].choices[0].finish_reason == whole.choices[0].finish_reason


def test_several_choices_differ_and_a_stop_text_ends_them(running: Running):
    texts = [choice.message.content for choice in asked(running, n=3).choices]
    assert len(set(texts)) == 3 and texts[0] == asked(running).choices[0].message.content
    stop = texts[0][8:10]
    stopped = asked(running, stop=[stop]).choices[0]
    assert stopped.message.content == texts[0][: texts[0].index(stop)] and stopped.finish_reason == "stop"
    several = asked(running, n=3, stop=[text[8:10] for text in texts], logprobs=True)
    counts = [len(choice.logprobs.content) for choice in several.choices]
    assert several.usage.completion_tokens == sum(counts)


def test_chances_are_those_of_the_model_and_a_bias_forces_a_token(running: Running):
    choice = asked(running, logprobs=True, top_logprobs=4, temperature=0).choices[0]
    assert len(choice.logprobs.content) == 40
    for entry in choice.logprobs.content:
        assert len(entry.top_logprobs) == 4 and entry.logprob == entry.top_logprobs[0].logprob < 0
    assert set(asked(running, logit_bias={"65": 100}).choices[0].message.content) == {"b"}


def test_tokens_that_cannot_come_have_the_chance_that_openai_gives_them(running: Running):
    body: dict[str, Any] = {"model": "letters", "prompt": "ab", "max_tokens": 3, "logprobs": 5, "seed": 1}
    whole = running.client.completions.create(**body).choices[0].logprobs
    streamed = running.client.completions.create(**body, stream=True)
    pieces = [best for piece in streamed for best in piece.choices[0].logprobs.top_logprobs]
    assert pieces == whole.top_logprobs
    assert all(min(best.values()) == -9999.0 for best in pieces) and all(-99 < n <= 0 for n in whole.token_logprobs)


def test_a_schema_and_a_pattern_are_kept_to(running: Running):
    schema = {
        "type": "object",
        "properties": {"size": {"enum": ["small", "large"]}, "count": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["size", "count"],
        "additionalProperties": False,
    }
    form = schema_of(schema)
    for seed in range(3):
        found = running.client.chat.completions.create(
            model="talker", messages=HEY, seed=seed, max_tokens=200, response_format=form, presence_penalty=1.0
        )
        text = found.choices[0].message.content
        if found.choices[0].finish_reason == "stop":
            thing = json.loads(text)
            assert thing["size"] in ("small", "large") and 0 <= thing["count"] <= 99
    extra = {"response_format": {"type": "regex", "regex": "[a-c]{5}!"}}
    text = running.client.completions.create(model="talker", prompt="x", seed=1, max_tokens=20, extra_body=extra)
    assert re.fullmatch("[a-c]{5}!", text.choices[0].text)


def test_a_pattern_is_kept_to_by_a_model_with_markers_of_its_own(running: Running):
    extra = {"response_format": {"type": "regex", "regex": "[a-c]{5}!"}}
    found = running.client.completions.create(model="coder", prompt="x", seed=1, max_tokens=20, extra_body=extra)
    assert re.fullmatch("[a-c]{5}!", found.choices[0].text) and found.choices[0].finish_reason == "stop"


def test_completions_go_on_and_fill_gaps(running: Running):
    plain = running.client.completions.create(model="talker", prompt=["a", "b"], max_tokens=5, seed=1, echo=True)
    assert [choice.text[0] for choice in plain.choices] == ["a", "b"]
    gap = running.client.completions.create(model="filler", prompt="ab", suffix="cd", max_tokens=5, seed=1, logprobs=2)
    assert len(gap.choices[0].logprobs.tokens) == gap.usage.completion_tokens <= 5
    body = {"input_prefix": "ab", "input_suffix": "cd", "n_predict": 5, "seed": 1}
    status, filled = running.post("/infill", json.dumps(body).encode())
    assert (status, filled["content"], filled["stop"]) == (200, gap.choices[0].text, True)
    stream = running.client.completions.create(model="talker", prompt=["a", "b"], max_tokens=5, echo=True, stream=True)
    firsts = {piece.choices[0].index: piece.choices[0].text for piece in reversed(list(stream))}
    assert firsts == {0: "a", 1: "b"}
    empty = running.client.completions.create(model="talker", prompt="a", n=None, max_tokens=None, stream=None)
    assert len(empty.choices) == 1
    with pytest.raises(openai.BadRequestError, match="at most 8 at a time"):
        running.client.completions.create(model="talker", prompt=["a", "b", "c"], n=3)
    with pytest.raises(openai.BadRequestError, match="was not trained to fill gaps"):
        running.client.completions.create(model="talker", prompt="ab", suffix="cd")


def test_embeddings_are_those_of_the_library(running: Running):
    found = running.client.embeddings.create(model="talker", input=["one", "another text"])
    points = torch.tensor([entry.embedding for entry in found.data])
    assert torch.allclose(points, embed(talker(256), ["one", "another text"]), atol=1e-4)
    assert found.usage.prompt_tokens == 15
    with pytest.raises(openai.BadRequestError, match="have 32; leave it out"):
        running.client.embeddings.create(model="talker", input="one", dimensions=4)


def schema_of(schema: dict) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}


REFUSED = {
    "no such model": ({"model": "gpt-9"}, 404, "expected one of talker, long, filler, letters, coder, icons, painter"),
    "a model that does not converse": ({"model": "filler"}, 400, "is not a chat model"),
    "a model without words": ({"model": "icons"}, 400, "is not a (chat|language) model"),
    "too many choices": ({"n": 1000}, 400, "n: "),
    "more than the context holds": ({"max_tokens": 4000}, 400, "the model reads 256"),
    "a temperature that is none": ({"temperature": "hot"}, 400, "temperature"),
    "an unknown role": ({"messages": [{"role": "wizard", "content": "x"}]}, 400, "messages.0.role"),
    "no messages": ({"messages": []}, 400, "messages"),
    "a bias on no token": ({"logit_bias": {"999999": 1}}, 400, "expected a token id"),
    "a schema that is none": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": 7}}}},
        400,
        "schema",
    ),
    "a bias on a number without end": ({"logit_bias": {"9" * 5000: 1}}, 400, "expected a token id"),
    "tools": ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "tools"),
    "a schema that is missing": ({"response_format": {"type": "json_schema"}}, 400, "is missing"),
}


@pytest.mark.hostile
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_one_sentence(running: Running, name: str):
    change, status, sentence = REFUSED[name]
    body = {"model": "talker", "messages": HEY, "max_tokens": 5} | change
    found, told = running.post("/v1/chat/completions", json.dumps(body).encode())
    assert found == status and re.search(sentence, told["error"]["message"])
    assert "\n" not in told["error"]["message"]


@pytest.mark.hostile
def test_bodies_that_are_no_json_or_too_long_are_refused(running: Running):
    assert running.post("/v1/completions", b"{")[0] == 400
    assert running.post("/v1/completions", b'"' + b"x" * 5_000_000 + b'"')[0] == 413


def test_of_two_names_for_a_length_the_newer_counts_if_it_is_given():
    for given, expected in (({}, 512), ({"max_tokens": 7}, 7), ({"max_completion_tokens": None, "max_tokens": 7}, 7)):
        assert Chat.model_validate({"messages": HEY} | given).length == expected
    for given, expected in (({"max_completion_tokens": 3, "max_tokens": 7}, 3), ({"max_tokens": -1}, None)):
        assert Chat.model_validate({"messages": HEY} | given).length == expected


def test_numbers_that_ask_for_no_limit_and_no_choice(running: Running):
    plain = asked(running).choices[0].message.content
    assert asked(running, extra_body={"top_k": 0, "min_p": 0}).choices[0].message.content == plain
    greedy = asked(running, temperature=0).choices[0].message.content
    assert asked(running, top_p=0).choices[0].message.content == greedy != plain
    texts = {
        running.client.completions.create(model="talker", prompt="x", max_tokens=40, seed=-1).choices[0].text
        for _ in range(2)
    }
    assert len(texts) == 2
    on: dict[str, Any] = {"logit_bias": {"65": 100}, "model": "talker"}  # never the end
    written = running.client.completions.create(prompt="x", max_tokens=-1, **on)
    talked = running.client.chat.completions.create(messages=HEY, max_completion_tokens=-1, **on)
    assert [each.usage.total_tokens for each in (written, talked)] == [255, 255]
    body = {"input_prefix": "ab", "input_suffix": "cd", "logit_bias": {"65": 100}}
    _, filled = running.post("/infill", json.dumps(body | {"n_predict": -1}).encode())
    assert (filled["tokens_predicted"] + filled["tokens_evaluated"], filled["content"][:3]) == (127, "AAA")


def test_nothing_is_drawn_where_a_context_is_only_shown(running: Running):
    body = {"input_prefix": "ab", "input_suffix": "cd", "n_predict": 0}
    status, told = running.post("/infill", json.dumps(body).encode())
    assert (status, told["content"], told["tokens_predicted"], told["stop_type"]) == (200, "", 0, "limit")


def test_the_bytes_of_tokens_are_those_of_the_text(running: Running):
    choice = asked(running, logprobs=True, top_logprobs=2).choices[0]
    told = [bytes(entry.bytes) for entry in choice.logprobs.content]
    assert b"".join(told).decode(errors="replace") == choice.message.content
    assert any(raw[0] > 0x7F for raw in told if raw)  # parts of characters


@pytest.mark.skipif(not speaks_ipv6(), reason="this machine has no IPv6")
def test_the_address_that_is_told_answers():
    code = "from septet.cli.app import main; main()"
    command = [sys.executable, "-c", code, "serve", "api", "--host", "::1", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            told = next(line for line in process.stderr if line.startswith("Next: "))
            with urllib.request.urlopen(told.split()[-1], timeout=PATIENCE) as answer:
                assert answer.status == 200 and json.load(answer)["data"]
        finally:
            process.send_signal(signal.SIGINT)
