"""Shared by the routes: models by name, work in the engine, streams of events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Generator as Steps
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message

from ..openweights.sentences import Encoder
from ..space import Refusal
from .engine import END, Engine, Job, Loaded

READ_SECONDS = 20  # after which a client that does not read is disconnected
GONE = 499  # the status for a client that disconnected, which never arrives

Made = TypeVar("Made")


class Unknown(Refusal):
    """A model that is not offered."""


@dataclass(frozen=True)
class Use:
    """A use of models: its name, which models are able to, and the reference of the default model, or None."""

    name: str
    able: Callable[[Any], bool]
    default: Callable[[], str | None]


@dataclass(frozen=True)
class Server:
    """Shared by the routes. `offered` lists the models that requests may name; `defaults` are the models for requests
    that name none, by use."""

    engine: Engine
    offered: Callable[[], list[str]]
    defaults: dict[str, str]

    async def model(self, stack: AsyncExitStack, asked: str | None, kind: str) -> Loaded:
        """The requested model, or the default for its use, loaded until the stack is closed."""
        reference = asked or self.defaults.get(kind)
        if reference is None:
            raise Refusal(f"there is no default model for this: name one of {', '.join(self.offered()) or 'none'}")
        if asked is not None and asked not in (*self.defaults.values(), *(names := self.offered())):
            raise Unknown(f"model {asked!r}: expected one of {', '.join(names) or 'none'}")
        using = self.engine.using(reference)
        loaded = await run_in_threadpool(using.__enter__)
        stack.callback(using.__exit__, None, None, None)
        if kind != "embedding" and isinstance(loaded.model, Encoder):
            raise Refusal(f"{reference} is a sentence encoder, which cannot generate; use /v1/embeddings")
        return loaded

    async def work(self, request: Request, loaded: Loaded, steps: Steps) -> list[Any]:
        """The results of all steps, run by the engine; cancelled when the client disconnects."""
        loop, heard = asyncio.get_running_loop(), asyncio.Queue()
        job = Job(loaded, steps, listener(loop, heard))
        self.engine.submit(job)
        try:
            return await unless_gone(request, _all(heard))
        finally:
            self.engine.cancel(job)

    def places(self, stack: AsyncExitStack, count: int) -> None:
        """Reserves places in the engine until the stack is closed."""
        stack.enter_context(self.engine.place(count))


def listener(loop: asyncio.AbstractEventLoop, heard: "asyncio.Queue[Any]") -> Callable[[Any], None]:
    """A callback for the engine's thread that puts results into a queue of the event loop."""

    def tell(piece: Any) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(heard.put_nowait, piece)

    return tell


async def _all(heard: "asyncio.Queue[Any]") -> list[Any]:
    """All results of a job; raises its exception if it failed."""
    found = []
    while (made := await heard.get()) is not END:
        if isinstance(made, Exception):
            raise made
        found.append(made)
    return found


class Stream(StreamingResponse):
    """Server-sent events; `stack` is closed however the stream ends, even before the first event."""

    def __init__(self, events: AsyncIterator[str], stack: AsyncExitStack):
        super().__init__(events, media_type="text/event-stream", headers={"cache-control": "no-store"})
        self.stack = stack

    async def __call__(self, scope, receive, send) -> None:
        async def sent(message: Message) -> None:
            async with asyncio.timeout(READ_SECONDS):
                await send(message)

        async with self.stack:
            try:
                await super().__call__(scope, receive, sent)
            except* (TimeoutError, ClientDisconnect):  # does not read, or disconnected
                pass


async def unless_gone(request: Request, work: Awaitable[Made]) -> Made:
    """The result of `work`, which is cancelled when the client disconnects."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise HTTPException(GONE, "the client left")
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
