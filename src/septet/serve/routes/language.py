"""The routes for language models: chat, completions, fill-in-the-middle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from torch import Tensor

from ...generator import Generator
from ...modalities.text import NO_CHAT
from ...processes.decoding import AHEAD
from ...space import Refusal
from ...storage.references import starters
from ...text_inference.conversation import MODEL, converses, prompt_of
from ..answers import DONE, Answer, error, event
from ..bodies import Chat, Completion, Infill, Sampling
from ..server import Server, Stream, Use, listener, unless_gone
from ..texts import Texts, continued, filled, goes_on, reserved


def _fills(model: Any) -> bool:
    return goes_on(model) and "spans" in model.process.supports


def _starter(kind: str) -> str | None:
    return next(iter(starters(kind)), None)


USES = (
    Use("text", goes_on, lambda: _starter("text")),
    Use("fill", _fills, lambda: _starter("text")),
    Use("infill", _fills, lambda: _starter("code")),
    Use("chat", lambda model: goes_on(model) and converses(model), lambda: MODEL),
)


def routes(server: Server) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def chat(body: Chat, request: Request) -> Any:
        messages = [message.plain for message in body.messages]

        def given(model: Generator) -> list[Tensor]:
            if not converses(model):
                raise Refusal(f"{model.name} {NO_CHAT}; use /v1/completions")
            return [prompt_of(model, messages, reserved(model, body.length))]

        alternatives = body.top_logprobs if body.logprobs else None
        return await _answered(server, body, request, ("chat", 1, given, body.length, alternatives))

    @router.post("/v1/completions")
    async def complete(body: Completion, request: Request) -> Any:
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt

        def given(model: Generator) -> list[Tensor]:
            if body.suffix:
                return [filled(model, prompt, body.suffix, reserved(model, body.max_tokens)) for prompt in prompts]
            return [continued(model, prompt, body.max_tokens or 1) for prompt in prompts]

        kind = "fill" if body.suffix else "text"
        return await _answered(server, body, request, (kind, len(prompts), given, body.max_tokens, body.logprobs))

    @router.post("/infill")
    async def infill(body: Infill, request: Request) -> Any:
        before = "".join(f"{extra.text}\n" for extra in body.input_extra) + body.input_prefix + body.prompt

        def given(model: Generator) -> list[Tensor]:
            return [filled(model, before, body.input_suffix, reserved(model, body.n_predict))]

        return await _answered(server, body, request, ("infill", 1, given, body.n_predict, None))

    return router


async def _answered(server: Server, body: Sampling, request: Request, asked: tuple) -> Any:
    """Reserves places, loads the model, encodes the prompts; answers with whole texts, or with a stream."""
    kind, prompts, given, length, alternatives = asked
    stack = AsyncExitStack()
    try:
        server.places(stack, prompts * body.n)
        loaded = await server.model(stack, body.model, kind)
        texts = Texts(server.engine, loaded, body, alternatives)
        loop = asyncio.get_running_loop()
        alone = prompts * body.n == 1

        def prepare() -> None:
            _ = loaded.decoding  # created here, off the event loop
            for symbols in given(loaded.model):
                texts.add(symbols, length, partial(listener, loop), AHEAD if alone else 0)

        await run_in_threadpool(prepare)
        stack.callback(texts.end)
        texts.begin()
        name = body.model or server.defaults[kind]
        if kind == "infill":
            if body.stream:
                return Stream(_filling(texts, name), stack)
            [text] = await unless_gone(request, _wholes(texts))
            result = _infilled(texts, text, name, True)
        else:
            answer = Answer(texts, name, chat=kind == "chat")
            if body.stream:
                return Stream(_events(texts, answer, body, stack), stack)
            wholes = await unless_gone(request, _wholes(texts))
            result = answer.whole([_echoed(body, i) + text for i, text in enumerate(wholes)])
    except BaseException:
        await stack.aclose()
        raise
    await stack.aclose()
    return result


def _echoed(body: Sampling, index: int) -> str:
    """The prompt of a choice if the request has `echo`, else ""."""
    if not isinstance(body, Completion) or not body.echo:
        return ""
    return body.prompt if isinstance(body.prompt, str) else body.prompt[index // body.n]


async def _wholes(texts: Texts) -> list[str]:
    return list(await asyncio.gather(*map(texts.whole, texts.choices)))


async def _events(texts: Texts, answer: Answer, body: Sampling, stack: AsyncExitStack) -> AsyncIterator[str]:
    """Events with the pieces of all choices, in the order in which they are generated, and with their ends."""
    arrived: asyncio.Queue[tuple[int, str | Exception | None]] = asyncio.Queue()

    async def follow(index: int) -> None:
        try:
            async for piece in texts.pieces(texts.choices[index]):
                arrived.put_nowait((index, piece))
            arrived.put_nowait((index, None))
        except Exception as failed:
            arrived.put_nowait((index, failed))

    for index in range(len(texts.choices)):
        stack.callback(asyncio.create_task(follow(index)).cancel)
        if echoed := _echoed(body, index):
            yield answer.piece(index, echoed)
    left = len(texts.choices)
    while left:
        index, piece = await arrived.get()
        if isinstance(piece, Exception):
            yield event(error(500, "generation failed; the server's log has the reason"))
            return
        left -= piece is None
        if piece is None or piece:
            yield answer.piece(index, piece or "", ended=piece is None)
    if body.stream_options is not None and body.stream_options.include_usage:
        yield answer.usage()
    yield DONE


async def _filling(texts: Texts, model: str) -> AsyncIterator[str]:
    async for piece in texts.pieces(texts.choices[0]):
        if piece:
            yield event(_infilled(texts, piece, model, False))
    yield event(_infilled(texts, "", model, True))


def _infilled(texts: Texts, content: str, model: str, ended: bool) -> dict[str, Any]:
    """An answer in llama.cpp's format."""
    choice = texts.choices[0]
    found = {"content": content, "stop": ended, "model": model, "tokens_predicted": len(choice.request.drawn)}
    if ended:
        kind = "word" if choice.telling.stopped else "eos" if choice.reason == "stop" else "limit"
        found |= {"stop_type": kind, "tokens_evaluated": len(choice.request.given), "truncated": False}
    return found
