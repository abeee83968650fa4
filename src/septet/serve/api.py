"""An API on this machine in the shape of OpenAI's, so that clients written for it work unchanged; and llama.cpp's
/infill."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Generator as Steps
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import Message

from ..openweights.sentences import Encoder
from ..output import version
from ..space import Refusal
from . import answers
from .engine import END, Busy, Closing, Engine, Job, Loaded
from .limits import Limits

RETRY_SECONDS = 1  # after which one that was turned away may ask again
READ_SECONDS = 20  # after which a client that does not read what is sent has left
GONE = 499  # the status, never read by anybody, of a client that left

Made = TypeVar("Made")


class Unknown(Refusal):
    """A model that is not offered."""


@dataclass(frozen=True)
class Server:
    """What the routes share. `offered` lists the models that may be named; `defaults` says which one answers where none
    is, by the kind of request."""

    engine: Engine
    offered: Callable[[], list[str]]
    defaults: dict[str, str]

    async def model(self, stack: AsyncExitStack, asked: str | None, kind: str) -> Loaded:
        """The model asked for, loaded, and kept until the stack is closed."""
        reference = asked or self.defaults[kind]
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


def application(server: Server, key: str | None = None, hosts: list[str] | None = None) -> FastAPI:
    """The whole API. With `key`, nothing is told to who does not send it; `hosts` are the names it may be called by."""
    from . import embeddings, images, language

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        server.engine.start()
        yield
        server.engine.stop()

    def allowed(authorization: Annotated[str | None, Header()] = None) -> None:
        if key is not None and not secrets.compare_digest((authorization or "").encode(), f"Bearer {key}".encode()):
            raise HTTPException(401, "the API key is missing or wrong: send it as `Authorization: Bearer KEY`")

    told: dict[int | str, dict[str, Any]] = {n: {"description": what, "model": dict} for n, what in TOLD.items()}
    app = FastAPI(title="septet", version=version(), lifespan=life, docs_url=None, redoc_url=None, responses=told)
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.add_middleware(Limits)
    _refusals(app)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models", dependencies=[Depends(allowed)])
    def listed() -> dict[str, Any]:
        names = dict.fromkeys([*server.defaults.values(), *server.offered()])
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "septet"} for name in names]
        return {"object": "list", "data": models}

    for routes in (language.routes, embeddings.routes, images.routes):
        app.include_router(routes(server), dependencies=[Depends(allowed)])
    return app


TOLD = {
    400: "what was asked for cannot be done; the sentence says why",
    401: "the API key is missing or wrong",
    403: "a browser asks for the page of another site",
    404: "no such model",
    408: "the request came too slowly",
    413: "the request is too long",
    429: "all places are taken",
    503: "the server is closing down",
}


def _refusals(app: FastAPI) -> None:
    """Every refusal as one JSON object with a sentence."""

    def answer(status: int, sentence: str, param: str | None = None) -> JSONResponse:
        headers = {"retry-after": str(RETRY_SECONDS)} if status in (429, 503) else None
        return JSONResponse(answers.error(status, sentence, param), status, headers)

    @app.exception_handler(Refusal)
    def refused(request: Request, error: Refusal) -> JSONResponse:
        kinds = {Busy: 429, Closing: 503, Unknown: 404}
        return answer(kinds.get(type(error), 400), str(error))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return answer(400, f"{where or 'the body'}: {first['msg']}", where or None)

    @app.exception_handler(HTTPException)
    def failed(request: Request, error: HTTPException) -> JSONResponse:
        return answer(error.status_code, str(error.detail))
