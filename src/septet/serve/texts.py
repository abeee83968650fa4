"""Text requests: prompts as tokens, limits, logit biases and constraints; and the generated pieces.

Shapes: n tokens, V vocabulary.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..generator import Generator
from ..processes.autoregressive import Autoregressive
from ..processes.continuations import Continuation
from ..processes.gaps import arrange
from ..space import Refusal
from ..text_inference.constraints import Constraint
from ..text_inference.conversation import REPLY, Telling, requested
from .bodies import MOST_TOKENS, Sampling, seed_of
from .engine import END, Engine, Job, Loaded, codec_of

Listen = Callable[["asyncio.Queue[Any]"], Callable[[Any], None]]


@dataclass(eq=False)
class Choice:
    """One of the texts that are generated for a request."""

    job: Job
    telling: Telling
    heard: "asyncio.Queue[Any]"

    @property
    def request(self) -> Continuation:
        assert isinstance(self.job.work, Continuation)
        return self.job.work

    @property
    def reason(self) -> str:
        """The finish reason: "stop" or "length"."""
        ended = self.telling.stopped or self.request.drawn[-1:] == [self.telling.codec.space.markers["end"]]
        return "stop" if ended else "length"


def goes_on(model: Any) -> bool:
    """Whether it is a language model, which continues a text."""
    return isinstance(model, Generator) and isinstance(model.process, Autoregressive) and model.begins


def continued(model: Generator, text: str, length: int) -> Tensor:
    """(n,) tokens of a text to continue; raises Refusal if they and `length` more do not fit."""
    given = codec_of(model).symbols_of(text)
    _fits(model, len(given), length)
    return given


def filled(model: Generator, before: str, after: str, length: int) -> Tensor:
    """(n,) tokens of a prompt for fill-in-the-middle; what is furthest from the gap is dropped if not all fits."""
    process, codec = model.process, codec_of(model)
    if not isinstance(process, Autoregressive) or "spans" not in process.supports:
        raise Refusal(f"{model.name} was not trained to fill gaps, only to continue texts; leave out the suffix")
    room = codec.length - length - 8
    if room < 2:
        raise Refusal(f"{length:,} new tokens: the context of {model.name} is {codec.length:,} tokens; request fewer")
    prefix, suffix = codec.symbols_of(before), codec.symbols_of(after, begun=False)
    suffix = suffix[: max(room // 4, room - len(prefix))]
    prefix = prefix[max(0, len(prefix) - (room - len(suffix))) :]
    return arrange(prefix, suffix, prefix[:0], process.space.markers, suffix_first=False)[:-1]


def reserved(model: Generator, length: int | None) -> int:
    """The number of tokens to reserve for the answer: `length`, or a default if it is None."""
    return min(REPLY, codec_of(model).length // 2) if length is None else length


def _fits(model: Generator, given: int, length: int) -> None:
    sites = codec_of(model).length
    if given + length > sites - 1:
        context = f"the context of {model.name} is {sites - 1:,} tokens"
        raise Refusal(
            f"{given:,} prompt tokens and {length:,} new ones: {context}; shorten the prompt or request fewer"
        )


class Texts:
    """All choices of a request, from one model; cancelled when the client disconnects."""

    def __init__(self, engine: Engine, loaded: Loaded, asked: Sampling, alternatives: int | None):
        self.engine, self.loaded, self.asked, self.alternatives = engine, loaded, asked, alternatives
        self.seed = seed_of(asked.seed)
        self.choices: list[Choice] = []

    def add(self, given: Tensor, length: int | None, listen: Listen, guesses: int = 0) -> None:
        """Adds `n` choices that continue the same tokens, if `length` is None as far as there is room. Generation
        starts at `begin`."""
        length = min(MOST_TOKENS, codec_of(self.loaded.model).length - 1 - len(given)) if length is None else length
        for _ in range(self.asked.n):
            model, heard = self.loaded.model, asyncio.Queue()
            request = requested(model, given, length, self.seed + len(self.choices), self.asked.settings)
            request.adjust, request.alternatives, request.guesses = self._adjust(), self.alternatives, guesses
            job = Job(self.loaded, request, listen(heard))
            self.choices.append(Choice(job, Telling(model, request, self.asked.stops), heard))

    def _adjust(self) -> Callable[[Tensor, list[int]], None] | None:
        bias = _bias(self.asked.logit_bias or {}, codec_of(self.loaded.model).space.symbols or 0)
        constraint = None if self._constraint is None else self._constraint.copy()
        if constraint is None and bias is None:
            return None

        def adjust(scores_V: Tensor, drawn: list[int]) -> None:
            if bias is not None:
                scores_V[bias[0]] += bias[1]
            if constraint is not None:
                constraint(scores_V, drawn)

        return adjust

    @cached_property
    def _constraint(self) -> Constraint | None:
        """The constraint of all choices, created once."""
        form = self.asked.response_format
        if form is None or form.type == "text":
            return None
        schema = form.json_schema.content if form.json_schema is not None else None
        kept = {"json_object": ({"type": "object"}, None), "json_schema": (schema, None), "regex": (None, form.regex)}
        if kept[form.type] == (None, None):
            raise Refusal(f"response_format of type {form.type}: the field {form.type} is missing")
        return Constraint(self.loaded.vocabulary, *kept[form.type])

    def begin(self) -> None:
        for choice in self.choices:
            if choice.request.length:
                self.engine.submit(choice.job)
            else:  # nothing to generate
                choice.request.done = True
                choice.heard.put_nowait(END)

    async def pieces(self, choice: Choice) -> AsyncIterator[str]:
        """Yields new pieces of a choice's text as they are generated."""
        while not choice.telling.ended:
            heard = await choice.heard.get()
            if isinstance(heard, Exception):
                raise heard
            fresh = choice.telling.fresh()
            if choice.telling.stopped:
                self.engine.cancel(choice.job)
            yield fresh

    async def whole(self, choice: Choice) -> str:
        return "".join([piece async for piece in self.pieces(choice)])

    def end(self) -> None:
        """Cancels choices that are not finished."""
        for choice in self.choices:
            if not choice.request.done:
                self.engine.cancel(choice.job)

    @property
    def usage(self) -> dict[str, int]:
        given = sum(len(choice.request.given) for choice in self.choices[:: self.asked.n])
        drawn = sum(choice.telling.count for choice in self.choices)
        return {"prompt_tokens": given, "completion_tokens": drawn, "total_tokens": given + drawn}


def _bias(asked: dict[str, float], symbols: int) -> tuple[Tensor, Tensor] | None:
    if not asked:
        return None
    wrong = next((n for n in asked if not (n.isdecimal() and len(n) < 10 and int(n) < symbols)), None)
    if wrong is not None:
        raise Refusal(f"logit_bias {wrong[:40]!r}: expected a token id, 0 to {symbols - 1:,}")
    return torch.tensor([int(name) for name in asked]), torch.tensor(list(asked.values()))
