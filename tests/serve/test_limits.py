"""Who may ask at all: connections on which nothing moves end, pages of other sites are turned away."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from serving import HEY, PATIENCE, Running

from septet.serve import limits

PLAIN = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server that waits for a fifth of a second."""
    monkeypatch.setattr(limits, "SECONDS", 0.2)
    server = Running()
    yield server
    server.stop()


def connected(server: Running) -> socket.socket:
    connection = socket.create_connection(server.uvicorn.servers[0].sockets[0].getsockname()[:2])
    connection.settimeout(PATIENCE)
    return connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("beginning", [b"", b"G", PLAIN[:-2]], ids=["nothing", "a letter", "all but the end"])
def test_a_kept_connection_ends_when_no_other_request_comes(hasty: Running, beginning: bytes):
    with connected(hasty) as kept:
        kept.sendall(PLAIN)
        assert kept.recv(1) == b"H"
        kept.sendall(beginning)
        assert rest(kept).endswith(b'{"status":"ok"}')


def test_an_answer_may_take_longer_than_a_client_may_wait(hasty: Running):
    body = {"model": "long", "messages": HEY, "max_tokens": 8000, "stream": True, "logit_bias": {"65": 100}}
    content = json.dumps(body).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with connected(hasty) as kept:
        kept.sendall(PLAIN + head + b"content-length: %d\r\n\r\n" % len(content) + content)
        enough = time.monotonic() + 5 * limits.SECONDS
        while time.monotonic() < enough:
            assert kept.recv(1 << 16)


def test_a_connection_ends_when_its_answers_are_not_read(hasty: Running):
    with connected(hasty) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(ConnectionError):
            silent.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 1000)
            while True:  # the kernels' buffers are full now: the server gives it up
                silent.sendall(b"x")
                time.sleep(0.05)


def ask(server: Running, method: bytes, path: bytes, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
    lines = [f"{name}: {value}".encode() for name, value in ({"connection": "close"} | headers).items()]
    head = b"\r\n".join([method + b" " + path + b" HTTP/1.1", *lines, b"content-length: %d" % len(body), b"", b""])
    with connected(server) as connection:
        connection.sendall(head + body)
        answer = rest(connection)
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running(hosts=["127.0.0.1", "localhost"])
    yield server
    server.stop()


BODY = json.dumps({"model": "talker", "messages": HEY, "max_tokens": 2}).encode()
JSON = {"content-type": "application/json"}


def test_pages_of_other_sites_are_turned_away(running: Running):
    chat, host = (b"POST", b"/v1/chat/completions"), running.base.removeprefix("http://")
    assert ask(running, *chat, {"host": host} | JSON, BODY)[0] == 200
    assert ask(running, *chat, {"host": host, "origin": f"http://{host}"} | JSON, BODY)[0] == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "https://evil.example/" + host):
        status, told = ask(running, *chat, {"host": host, "origin": origin} | JSON, BODY)
        assert status == 403 and b"are not allowed" in told
        assert ask(running, b"GET", b"/health", {"host": host, "origin": origin})[0] == 403


def test_a_body_that_is_not_said_to_be_json_is_refused(running: Running):
    host = {"host": running.base.removeprefix("http://")}
    for kind in ({}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}):
        assert ask(running, b"POST", b"/v1/chat/completions", host | kind, BODY)[0] == 400


def test_names_that_are_not_its_own_are_refused(running: Running):
    assert ask(running, b"GET", b"/health", {"host": "localhost"})[0] == 200
    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        assert ask(running, b"GET", b"/v1/models", {"host": host})[0] == 400


def test_the_command_lets_in_its_own_names_and_no_pages_of_others():
    code = "from septet.cli.app import main; main()"
    command = [sys.executable, "-c", code, "serve", "api", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            told = next(line for line in process.stderr if line.startswith("Next: "))
            host = told.split("/")[2]
            statuses = {}
            for name, headers in {"own": {"host": host}, "other": {"host": "evil.example"}}.items():
                lines = [f"{key}: {value}" for key, value in ({"connection": "close"} | headers).items()]
                with socket.create_connection(
                    ("127.0.0.1", int(host.rpartition(":")[2])), timeout=PATIENCE
                ) as connection:
                    connection.sendall("\r\n".join(["GET /v1/models HTTP/1.1", *lines, "", ""]).encode())
                    statuses[name] = int(rest(connection).split()[1])
            assert statuses == {"own": 200, "other": 400}
        finally:
            process.terminate()


@pytest.mark.parametrize("key", ["", "clé", "two words", " ", "line\n"])
def test_a_key_that_no_client_could_send_is_refused(septet, key: str):
    code, _, told = septet("serve", "api", "--key", key)
    assert code == 2 and re.search("--key.*expected.*letters", told) and "Traceback" not in told
