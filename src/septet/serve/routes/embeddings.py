"""The route for embeddings of texts."""

import base64
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from ...codecs.symbols import Symbols
from ...space import Refusal
from ...text_inference.embedding import DEFAULT, Encoder, embed_in_steps, reading
from ..bodies import Embeddings
from ..server import Server, Use
from ..texts import goes_on


def _embeds(model: Any) -> bool:
    """Language models embed only if they are named: the default model was trained for it."""
    return isinstance(model, Encoder) or (isinstance(model.codec, Symbols) and not goes_on(model))


USES = (Use("embedding", _embeds, lambda: DEFAULT),)


def routes(server: Server) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/embeddings")
    async def embeddings(body: Embeddings, request: Request) -> Any:
        texts = [body.input] if isinstance(body.input, str) else body.input
        async with AsyncExitStack() as stack:
            server.places(stack, 1)
            loaded = await server.model(stack, body.model, "embedding")
            process, codec = reading(loaded.model)
            width = process.backbone.width
            if body.dimensions not in (None, width):
                raise Refusal(
                    f"dimensions {body.dimensions}: embeddings of {loaded.model.name} have {width}; leave it out"
                )
            counts = await run_in_threadpool(lambda: [len(codec.symbols_of(text)) for text in texts])
            made = await server.work(request, loaded, embed_in_steps(loaded.model, texts))
        points = [point.numpy() for point in made if point is not None]
        data = [{"object": "embedding", "index": n, "embedding": _coded(p, body)} for n, p in enumerate(points)]
        usage = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
        return {"object": "list", "data": data, "model": body.model or server.defaults["embedding"], "usage": usage}

    return router


def _coded(point: np.ndarray, body: Embeddings) -> Any:
    if body.encoding_format == "float":
        return point.tolist()
    return base64.b64encode(point.astype("<f4").tobytes()).decode()
