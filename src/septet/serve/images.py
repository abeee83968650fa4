"""The route of picture models."""

import base64
import tempfile
import time
from collections.abc import Generator as Steps
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from ..generator import Generator
from ..modalities.image import Image
from ..modalities.records import size_of
from ..output import Output
from ..space import Refusal
from .api import Server
from .bodies import Images, seed_of

PNG = ".png"


def routes(server: Server) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/images/generations")
    async def generate(body: Images, request: Request) -> Any:
        """PNG files in base64, each with its record inside."""
        if body.response_format == "url":
            raise Refusal("response_format 'url': pictures come inside the answer; ask for 'b64_json'")
        record = {} if body.size in (None, "auto") else {"size": "{}x{}".format(*size_of(body.size))}
        async with AsyncExitStack() as stack:
            server.places(stack, body.n)
            loaded = await server.model(stack, body.model, "image")
            modality = loaded.model.modality
            if PNG not in modality.suffixes:
                raise Refusal(f"{loaded.model.name} draws {modality.name}, no pictures")
            if record and isinstance(modality, Image):  # drawings are crisp at any size, pictures are scaled
                record["drawn_at"] = f"{modality.size}x{modality.size}"
            made = await server.work(request, loaded, _drawn(loaded.model, body, seed_of(body.seed)))
            outputs = [replace(output, record=output.record | record) for step in made for output in step]
            files = await run_in_threadpool(lambda: [_file(output) for output in outputs])
        data = [{"b64_json": base64.b64encode(file).decode(), "revised_prompt": None, "url": None} for file in files]
        return {"created": int(time.time()), "data": data}

    return router


def _drawn(model: Generator, body: Images, seed: int) -> Steps:
    """What each step finished."""
    requests = [(body.prompt, seed + number) for number in range(body.n)]
    for moment in model.generating(requests, tile=body.n):
        yield moment.outputs


def _file(output: Output) -> bytes:
    with tempfile.TemporaryDirectory(prefix="septet-") as folder:
        return output.save(Path(folder) / "made.png").read_bytes()
