"""The route of picture models."""

import base64
import tempfile
import time
from collections.abc import Generator as Steps
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request

from ..generator import Generator
from ..modalities.image import Image
from ..modalities.vector import PNG_SIDE
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
        async with AsyncExitStack() as stack:
            server.places(stack, body.n)
            loaded = await server.model(stack, body.model, "image")
            if PNG not in loaded.model.modality.suffixes:
                raise Refusal(f"{loaded.model.name} draws {loaded.model.modality.name}, no pictures")
            own = _size(loaded.model)
            if body.size not in (None, "auto", own):
                raise Refusal(f"size {body.size}: {loaded.model.name} draws {own}; ask for that, or for auto")
            made = await server.work(request, loaded, _drawn(loaded.model, body, seed_of(body.seed)))
        files = [file for step in made for file in step]
        data = [{"b64_json": base64.b64encode(file).decode(), "revised_prompt": None, "url": None} for file in files]
        return {"created": int(time.time()), "data": data}

    return router


def _drawn(model: Generator, body: Images, seed: int) -> Steps:
    """The files that each step finished."""
    requests = [(body.prompt, seed + number) for number in range(body.n)]
    for moment in model.generating(requests, tile=body.n):
        yield [_file(output) for output in moment.outputs]


def _size(model: Generator) -> str:
    """Of its pictures, as width x height."""
    side = model.modality.size if isinstance(model.modality, Image) else PNG_SIDE
    return f"{side}x{side}"


def _file(output: Output) -> bytes:
    with tempfile.TemporaryDirectory(prefix="septet-") as folder:
        return output.save(Path(folder) / "made.png").read_bytes()
