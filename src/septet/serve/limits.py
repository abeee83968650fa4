"""Limits of the server: on the length of bodies, slow or missing requests, requests from web pages of other sites, and
idle connections."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .answers import error

MOST_BYTES = 4_000_000  # of a body
SECONDS = 20.0  # for a body to arrive, for the next request of a connection, and for a client to continue reading


class Limits:
    """ASGI middleware that reads the whole body, within limits, before it calls the application."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES, seconds: float = SECONDS):
        self.app, self.most_bytes, self.seconds = app, most_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if _foreign(headers):
            await _refuse(send, 403, f"requests from the web page {headers['origin'][:100]!r} are not allowed")
            return
        try:
            async with asyncio.timeout(self.seconds):
                body = await self._read(receive)
        except TimeoutError:
            await _refuse(send, 408, f"the request did not arrive within {self.seconds:.0f} seconds")
            return
        if body is None:
            await _refuse(send, 413, f"the request is longer than {self.most_bytes:,} bytes")
            return
        first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def rest() -> Message:
            return first.pop() if first else await receive()

        await self.app(scope, rest, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The body; None if it is too long."""
        parts, length = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":  # the client left
                return b""
            parts.append(message.get("body", b""))
            length += len(parts[-1])
            if length > self.most_bytes:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)


class Impatient(H11Protocol):
    """Closes connections without a complete request within SECONDS of opening or of the last answer, and those of
    clients that do not read their answers."""

    stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        last = self.cycle

        def leave() -> None:
            if self.cycle is last and (last is None or last.response_complete):  # no request since
                self.transport.abort()

        self.loop.call_later(SECONDS, leave)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stuck = self.loop.call_later(SECONDS, self.transport.abort)  # close() would wait for unsent data

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.stuck is not None:
            self.stuck.cancel()


def _foreign(headers: Headers) -> bool:
    """Whether the Origin header names another site than this server."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


async def _refuse(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(error(status, sentence)).encode()})
