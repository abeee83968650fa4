"""What the routes share: models by their names, work between the steps of others, streams of events."""

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

READ_SECONDS = 20  # after which a client that does not read what is sent has left
GONE = 499  # the status, never read by anybody, of a client that left

Made = TypeVar("Made")


class Unknown(Refusal):
    """A model that is not offered."""


@dataclass(frozen=True)
class Use:
    """What a model may be asked for, by name; which models can do it, and which does where none is named: a reference,
    or None."""

    name: str
    able: Callable[[Any], bool]
    default: Callable[[], str | None]


@dataclass(frozen=True)
class Server:
    """What the routes share. `offered` lists the models that may be named; `defaults` says which one answers where none
    is, by the name of its use."""

    engine: Engine
    offered: Callable[[], list[str]]
    defaults: dict[str, str]

    async def model(self, stack: AsyncExitStack, asked: str | None, kind: str) -> Loaded:
        """The model asked for, loaded, and kept until the stack is closed."""
        reference = asked or self.defaults.get(kind)
        if reference is None:
            raise Refusal(f"no model is taken for this by itself: name one of {', '.join(self.offered()) or 'none'}")
        if asked is not None and asked not in (*self.defaults.values(), *(names := self.offered())):
            raise Unknown(f"model {asked!r}: expected one of {', '.join(names) or 'none'}")
        using = self.engine.using(reference)
        loaded = await run_in_threadpool(using.__enter__)
        stack.callback(using.__exit__, None, None, None)
        if kind != "embedding" and isinstance(loaded.model, Encoder):
            raise Refusal(f"{reference} is a sentence encoder, which makes nothing: it is for embeddings")
        return loaded

    async def work(self, request: Request, loaded: Loaded, steps: Steps) -> list[Any]:
        """What each step makes, done between the steps of others; given up when the client leaves."""
        loop, heard = asyncio.get_running_loop(), asyncio.Queue()
        job = Job(loaded, steps, listener(loop, heard))
        self.engine.submit(job)
        try:
            return await unless_gone(request, _all(heard))
        finally:
            self.engine.cancel(job)

    def places(self, stack: AsyncExitStack, count: int) -> None:
        """So many places, held until the stack is closed."""
        stack.enter_context(self.engine.place(count))


def listener(loop: asyncio.AbstractEventLoop, heard: "asyncio.Queue[Any]") -> Callable[[Any], None]:
    """Hears the engine's thread on behalf of the server's."""

    def tell(piece: Any) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(heard.put_nowait, piece)

    return tell


async def _all(heard: "asyncio.Queue[Any]") -> list[Any]:
    """What a job told, until it ended."""
    found = []
    while (made := await heard.get()) is not END:
        if isinstance(made, Exception):
            raise made
        found.append(made)
    return found


class Stream(StreamingResponse):
    """Events; what they need is given back however the stream ends, even before its first piece."""

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
            except* (TimeoutError, ClientDisconnect):  # it does not read, or is gone
                pass


async def unless_gone(request: Request, work: Awaitable[Made]) -> Made:
    """What the work makes; it is given up when the client leaves."""
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
