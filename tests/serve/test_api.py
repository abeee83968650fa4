"""The API as OpenAI's own client sees it, over a socket of this machine, and what it refuses."""

import base64
import io
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import torch
import uvicorn
from coder import untaught
from PIL import Image
from talkers import filler, talker

from septet import embed, models
from septet.conversation import decoding_of, replying
from septet.generator import Generator
from septet.serve import api
from septet.serve.api import Server, application
from septet.serve.engine import Engine

HEY = [{"role": "user", "content": "hey"}]
MODELS = {
    "talker": lambda: talker(256),
    "long": lambda: talker(8192),
    "filler": filler,
    "coder": untaught,
    "icons": lambda: models.load("icons"),
}
DEFAULTS = {"chat": "talker", "text": "talker", "fill": "filler", "infill": "filler", "embedding": "talker"}


def loaded(reference: str) -> Generator:
    return MODELS[reference]()


class Running:
    """A server in a thread, at a free port."""

    def __init__(self, places: int = 8, key: str | None = None):
        self.engine = Engine(loaded, places)
        server = Server(self.engine, lambda: list(MODELS), DEFAULTS | {"image": "icons"})
        settings = uvicorn.Config(application(server, key), port=0, log_level="error", lifespan="on")
        self.uvicorn = uvicorn.Server(settings)
        self.thread = threading.Thread(target=self.uvicorn.run)
        self.thread.start()
        while not self.uvicorn.started:
            time.sleep(0.01)
        port = self.uvicorn.servers[0].sockets[0].getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.client: Any = openai.OpenAI(base_url=f"{self.base}/v1", api_key=key or "none", max_retries=0)

    def post(self, path: str, body: bytes) -> tuple[int, dict]:
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(self.base + path, body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def stop(self) -> None:
        self.client.close()
        self.uvicorn.should_exit = True
        self.thread.join()


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
    assert torch.allclose(points, embed(talker(256), ["one", "another text"]), atol=1e-6)
    assert found.usage.prompt_tokens == 15
    with pytest.raises(openai.BadRequestError, match="makes 32; leave it out"):
        running.client.embeddings.create(model="talker", input="one", dimensions=4)


@pytest.mark.skipif("icons" not in models.starters(), reason="the starter icons is not in this checkout")
def test_images_are_files_with_a_record(running: Running):
    found = running.client.images.generate(model="icons", prompt="clock, outline", extra_body={"seed": 1})
    with Image.open(io.BytesIO(base64.b64decode(found.data[0].b64_json))) as picture:
        assert json.loads(picture.info["septet"])["prompt"] == "clock, outline" and picture.size == (512, 512)
    with pytest.raises(openai.BadRequestError, match="draws 512x512"):
        running.client.images.generate(model="icons", prompt="clock", size="1024x1024")


def schema_of(schema: dict) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}


REFUSED = {
    "no such model": ({"model": "gpt-9"}, 404, "expected one of talker, long, filler, coder, icons"),
    "a model that does not converse": ({"model": "filler"}, 400, "was not taught to converse"),
    "a model without words": ({"model": "icons"}, 400, "converse|no language model"),
    "too many choices": ({"n": 1000}, 400, "n: "),
    "more than the context holds": ({"max_tokens": 4000}, 400, "the model reads 256"),
    "a temperature that is none": ({"temperature": "hot"}, 400, "temperature"),
    "an unknown role": ({"messages": [{"role": "wizard", "content": "x"}]}, 400, "messages.0.role"),
    "no messages": ({"messages": []}, 400, "messages"),
    "a bias on no token": ({"logit_bias": {"999999": 1}}, 400, "expected the number of a token"),
    "a schema that is none": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": 7}}}},
        400,
        "schema",
    ),
    "a bias on a number without end": ({"logit_bias": {"9" * 5000: 1}}, 400, "expected the number of a token"),
    "tools": ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "tools"),
    "a schema that is missing": ({"response_format": {"type": "json_schema"}}, 400, "is missing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_one_sentence(running: Running, name: str):
    change, status, sentence = REFUSED[name]
    body = {"model": "talker", "messages": HEY, "max_tokens": 5} | change
    found, told = running.post("/v1/chat/completions", json.dumps(body).encode())
    assert found == status and re.search(sentence, told["error"]["message"])
    assert "\n" not in told["error"]["message"]


def test_bodies_that_are_no_json_or_too_long_are_refused(running: Running):
    assert running.post("/v1/completions", b"{")[0] == 400
    assert running.post("/v1/completions", b'"' + b"x" * 5_000_000 + b'"')[0] == 413


def test_without_the_key_nothing_is_told():
    server = Running(key="secret")
    try:
        assert server.client.models.list().data
        with pytest.raises(openai.AuthenticationError, match="key is missing or wrong"):
            openai.OpenAI(base_url=f"{server.base}/v1", api_key="guess", max_retries=0).models.list()
    finally:
        server.stop()


def test_a_model_that_is_being_loaded_keeps_nobody_from_others():
    loading, free = threading.Event(), threading.Event()

    def slowly(reference: str) -> Generator:
        if reference == "slow":
            loading.set()
            assert free.wait(20)
        return talker()

    def use(reference: str) -> None:
        with engine.using(reference):
            pass

    engine = Engine(slowly)
    use("quick")
    threads = [threading.Thread(target=use, args=["slow"]) for _ in range(2)]
    [thread.start() for thread in threads]
    assert loading.wait(20)
    use("quick")
    use("another")
    free.set()
    [thread.join() for thread in threads]
    assert set(engine.loaded) == {"quick", "another", "slow"} and not any(one.users for one in engine.loaded.values())


def test_who_does_not_read_what_is_sent_has_left(monkeypatch):
    monkeypatch.setattr(api, "READ_SECONDS", 0.5)
    server = Running()
    try:
        body = {"model": "long", "messages": HEY, "max_tokens": 8000, "n": 8, "logprobs": True, "top_logprobs": 20}
        content = json.dumps(body | {"stream": True, "logit_bias": {"65": 100}}).encode()
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: x", "content-type: application/json"]
        head = "\r\n".join([*lines, f"content-length: {len(content)}", "", ""])
        with socket.create_connection(server.uvicorn.servers[0].sockets[0].getsockname()[:2]) as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.sendall(head.encode() + content)
            deadline = time.monotonic() + 60
            while not server.engine.taken and time.monotonic() < deadline:
                time.sleep(0.02)
            assert server.engine.taken == 8
            while server.engine.taken and time.monotonic() < deadline:
                time.sleep(0.05)
            assert server.engine.taken == 0
    finally:
        server.stop()


def test_who_finds_no_place_is_told_to_come_back_and_leaving_frees_it():
    server = Running(places=2)
    try:
        long = {"model": "long", "messages": HEY, "max_tokens": 8000, "logit_bias": {"65": 100}}
        streams = [server.client.chat.completions.create(**long, stream=True) for _ in range(2)]
        [next(iter(stream)) for stream in streams]
        with pytest.raises(openai.RateLimitError, match="places are taken"):
            asked(server)
        for stream in streams:
            stream.close()
        deadline = time.monotonic() + 10
        while server.engine.taken and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.engine.taken == 0 and asked(server).choices
        server.engine.close()
        with pytest.raises(openai.InternalServerError, match="closing down"):
            asked(server)
    finally:
        server.stop()
