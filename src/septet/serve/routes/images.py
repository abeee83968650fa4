"""The route for pictures."""

import base64
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from ...generator import Generator
from ...modalities.image import Image
from ...modalities.picture_sizes import size_of
from ...space import Refusal
from ...storage.references import starters
from ..bodies import Images, seed_of
from ..outputs import drawn, file
from ..server import Server, Use

PNG = ".png"


def _draws(model: Any) -> bool:
    return isinstance(model, Generator) and PNG in model.modality.suffixes


USES = (Use("image", _draws, lambda: next(iter(starters(Image.name)), None)),)


def routes(server: Server) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/images/generations")
    async def generate(body: Images, request: Request) -> Any:
        """PNG files in base64, each with its record inside."""
        if body.response_format == "url":
            raise Refusal("response_format 'url' is not supported; use 'b64_json'")
        record = {} if body.size in (None, "auto") else {"size": "{}x{}".format(*size_of(body.size))}
        async with AsyncExitStack() as stack:
            server.places(stack, body.n)
            loaded = await server.model(stack, body.model, "image")
            modality = loaded.model.modality
            if PNG not in modality.suffixes:
                raise Refusal(f"{loaded.model.name} generates {modality.name}, not pictures; name another model")
            if record and isinstance(modality, Image):  # drawings are rendered at any size, pictures are scaled
                record["drawn_at"] = f"{modality.size}x{modality.size}"
            made = await server.work(request, loaded, drawn(loaded.model, body.prompt, body.n, seed_of(body.seed)))
            outputs = [replace(output, record=output.record | record) for step in made for output in step]
            files = await run_in_threadpool(lambda: [file(output, PNG) for output in outputs])
        data = [
            {"b64_json": base64.b64encode(content).decode(), "revised_prompt": None, "url": None} for content in files
        ]
        return {"created": int(time.time()), "data": data}

    return router
