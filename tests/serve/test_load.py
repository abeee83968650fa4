"""Who is let in, who waits, and who is no longer waited for."""

import contextlib
import functools
import json
import socket
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import openai
import pytest
from serving import HEY, PATIENCE, Running, wait_until
from talkers import talker
from torch import Tensor

from septet.generator import Generator
from septet.serve import limits
from septet.serve import server as shared
from septet.serve.engine import Engine
from septet.text_inference.embedding import PIECE, embed


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
            assert free.wait(PATIENCE)
        return talker()

    def use(reference: str) -> None:
        with engine.using(reference):
            pass

    engine = Engine(slowly)
    use("quick")
    threads = [threading.Thread(target=use, args=["slow"]) for _ in range(2)]
    [thread.start() for thread in threads]
    assert loading.wait(PATIENCE)
    use("quick")
    use("another")
    free.set()
    [thread.join() for thread in threads]
    assert set(engine.loaded) == {"quick", "another", "slow"} and not any(one.users for one in engine.loaded.values())


def test_who_asks_nothing_is_let_go(monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 0.2)
    server = Running()
    try:
        with socket.create_connection(server.uvicorn.servers[0].sockets[0].getsockname()[:2]) as silent:
            silent.settimeout(PATIENCE)
            assert silent.recv(1) == b""
    finally:
        server.stop()


def test_who_does_not_read_what_is_sent_has_left(monkeypatch):
    """What is sent is more than the buffers between hold, and what a server keeps for a connection: 64 kB."""
    monkeypatch.setattr(shared, "READ_SECONDS", 0.5)
    server = Running()
    try:
        listening = server.uvicorn.servers[0].sockets[0]
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # of each connection that it accepts
        body = {"model": "long", "messages": HEY, "max_tokens": 60, "n": 8, "logprobs": True, "top_logprobs": 20}
        content = json.dumps(body | {"stream": True, "logit_bias": {"65": 100}}).encode()
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: x", "content-type: application/json"]
        head = "\r\n".join([*lines, f"content-length: {len(content)}", "", ""])
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.settimeout(PATIENCE)
            silent.connect(listening.getsockname()[:2])
            silent.sendall(head.encode() + content)
            received = silent.recv(1)  # it has begun; nothing more is read before it has given up
            wait_until(lambda: server.engine.taken == 0)
            with contextlib.suppress(ConnectionError):
                while piece := silent.recv(1 << 16):
                    received += piece
        assert received.startswith(b"HTTP/1.1 200") and b"[DONE]" not in received
    finally:
        server.stop()


@pytest.fixture
def watched() -> Iterator[tuple[Running, list[int]]]:
    """A server, and what the model `long` has done there: how many symbols it read for points, 0 for a step of
    drawing."""
    server = Running()
    with server.engine.using("long") as loaded:
        embed(loaded.model, ["what all texts share is found now"])
        done: list[int] = []
        states, step = loaded.model.process.states, loaded.decoding.step

        def counted_states(rows_BN: Tensor, *more: Any) -> Tensor:
            done.append(rows_BN.numel())
            return states(rows_BN, *more)

        def counted_step() -> Any:
            done.append(0)
            return step()

        loaded.model.process.states, loaded.decoding.step = counted_states, counted_step
        yield server, done
    server.stop()


def test_long_texts_that_become_points_let_others_in_after_each_row(watched: tuple[Running, list[int]]):
    server, done = watched
    ask = functools.partial(server.client.embeddings.create, model="long", input=["x" * 20_000] * 3)
    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: bool(done))
    server.chat("long", max_tokens=20, logit_bias={"65": 100})
    asking.join()
    first, last = done.index(0), len(done) - done[::-1].index(0)
    between = done[first:last]
    assert between.count(0) >= 5 and max(between) <= PIECE
    assert not any(one and other for one, other in pairwise(between))
    assert sum(done) >= 60_000


def test_a_text_is_no_longer_read_for_a_client_that_left(watched: tuple[Running, list[int]]):
    server, done = watched
    content = json.dumps({"model": "long", "input": "x" * 200_000}).encode()
    head = "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with socket.create_connection(server.uvicorn.servers[0].sockets[0].getsockname()[:2]) as leaving:
        leaving.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        wait_until(lambda: bool(done))
    wait_until(lambda: not (server.engine.taken or server.engine.others))
    assert sum(done) < 200_000


def test_who_finds_no_place_is_told_to_come_back_and_leaving_frees_it():
    server = Running(places=2)
    try:
        long = {"model": "long", "messages": HEY, "max_tokens": 8000, "logit_bias": {"65": 100}}
        streams = [server.client.chat.completions.create(**long, stream=True) for _ in range(2)]
        [next(iter(stream)) for stream in streams]
        with pytest.raises(openai.RateLimitError, match="places are taken"):
            server.chat(max_tokens=40)
        for stream in streams:
            stream.close()
        wait_until(lambda: server.engine.taken == 0)
        assert server.chat(max_tokens=40).choices
        server.engine.close()
        with pytest.raises(openai.InternalServerError, match="shutting down"):
            server.chat(max_tokens=40)
    finally:
        server.stop()
