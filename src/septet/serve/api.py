"""A local API compatible with OpenAI's, so that its clients work unchanged, and with llama.cpp's /infill."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ..output import version
from ..space import Refusal
from . import answers
from .engine import Busy, Closing
from .limits import Limits
from .routes import found
from .server import Server, Unknown

RETRY_SECONDS = 1  # the retry-after header of refused requests


def application(server: Server, key: str | None = None, hosts: list[str] | None = None) -> FastAPI:
    """The application. With `key`, requests without it are refused; `hosts` are the allowed Host headers."""

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

    for module in found():
        app.include_router(module.routes(server), dependencies=[Depends(allowed)])
    return app


TOLD = {
    400: "the request cannot be fulfilled; the message gives the reason",
    401: "the API key is missing or wrong",
    403: "the request comes from a web page of another site",
    404: "no such model",
    408: "the request arrived too slowly",
    413: "the request is too long",
    429: "the server is busy",
    503: "the server is shutting down",
}


def _refusals(app: FastAPI) -> None:
    """Makes every error a JSON object with a message of one sentence."""

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
