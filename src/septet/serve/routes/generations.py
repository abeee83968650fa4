"""The route for every kind of content."""

import base64
import mimetypes
import time
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from ...generator import Generator
from ...output import checked_suffix
from ..bodies import Generation, seed_of
from ..outputs import drawn, file
from ..server import Server, Use

USES = (Use("generation", lambda model: isinstance(model, Generator), lambda: None),)


def routes(server: Server) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/generations")
    async def generate(body: Generation, request: Request) -> Any:
        """Files in base64, each with its record."""
        async with AsyncExitStack() as stack:
            server.places(stack, body.n)
            loaded = await server.model(stack, body.model, "generation")
            suffix = None if body.format is None else "." + body.format.lower().removeprefix(".")
            suffix = checked_suffix(suffix, loaded.model.modality)
            made = await server.work(request, loaded, drawn(loaded.model, body.prompt, body.n, seed_of(body.seed)))
            outputs = [output for step in made for output in step]
            files = await run_in_threadpool(lambda: [file(output, suffix) for output in outputs])
        media = mimetypes.guess_type(f"made{suffix}", strict=False)[0] or "application/octet-stream"
        data = [
            {"b64": base64.b64encode(content).decode(), "media_type": media, "record": output.record}
            for content, output in zip(files, outputs, strict=True)
        ]
        model = body.model or server.defaults["generation"]
        return {"created": int(time.time()), "model": model, "format": suffix, "data": data}

    return router
