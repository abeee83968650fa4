"""A conversation with a language model that was taught to answer: messages in, a reply out, piece by piece.

Shapes: n symbols.
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
from ..modalities.text import ROLES, Text, is_message
from ..processes.autoregressive import Autoregressive
from ..processes.continuations import Continuation
from ..processes.decoding import Decoding
from ..processes.filters import Filter
from ..processes.settings import chosen
from ..processes.streams import checked_seed
from ..space import Refusal

FILTER = {field.name for field in fields(Filter)}
LARGE = 30_000_000  # parameters from which reading them takes longer than all else
REPLY = 512  # symbols of a reply at most, where nothing is said
SAMPLE = """Dear Ms Brown, thank you for your letter of 12 May. The old mill, which was built in 1864, stands beside the
river; it has three floors and a wheel of oak. Is it open at weekends? Yes: from 10 to 4, except in winter.
1. Take two eggs, 250 g of flour and a little salt. 2. Stir until it is smooth.
def area(width: float, height: float) -> float:
    return width * height  # in square metres
"That," she said, "isn't what I meant at all!" He laughed and shut the door, and nobody spoke until the train had left.
"""  # of several kinds, for what is measured on a text
UNFINISHED = "\ufffd"  # what the first bytes of a character decode to


@dataclass
class Conversation:
    """What was said so far; `reply` adds to it. The oldest messages are left out of what the model reads when they no
    longer fit, all but the system's. `bits` and `long` as in decoding_of."""

    model: Generator
    messages: list[dict[str, str]] = field(default_factory=list)
    bits: int | None = None
    long: bool = False

    def __post_init__(self) -> None:
        if not converses(self.model):
            raise Refusal(f"{self.model.name} was not taught to converse: it has no chat template; use generate text")
        for message in self.messages:
            if not is_message(message):
                raise Refusal(f"a message {str(message)[:80]}: expected a role ({', '.join(ROLES)}) and a content")
        self.decoding = decoding_of(self.model, self.bits, long=self.long)

    def reply(
        self, said: str, seed: int = 0, length: int | None = None, stop: Sequence[str] = (), **settings: Any
    ) -> Iterator[str]:
        """Pieces of the answer to `said`, as they come; both are kept when it ends. `length` in symbols; `stop`: texts
        before which it ends."""
        asked = [*self.messages, {"role": "user", "content": said}]
        pieces = []
        for piece in replying(self.model, self.decoding, asked, seed, length, stop, **settings):
            pieces.append(piece)
            yield piece
        self.messages = [*asked, {"role": "assistant", "content": "".join(pieces)}]


def converses(model: Generator) -> bool:
    """Whether it was taught to answer."""
    return isinstance(model.modality, Text) and model.modality.template is not None


def decoding_of(model: Generator, bits: int | None = None, rows: int = 1, long: bool = False) -> Decoding:
    """A Decoding of a language model in `bits`; if left out, in the 4 that it was published in, 8 for other large ones,
    32 for small ones. With `long`, it is meant to be used for minutes, and a large one is compiled meanwhile. It is one
    for the processor, wherever the model is."""
    if not isinstance(model.process, Autoregressive):
        raise Refusal(f"{model.name} draws by {type(model.process).__name__}; a conversation needs an Autoregressive")
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
    """(D,) how large each channel is of what the head reads, on a text behind its first symbols, where some run off."""
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
    """Pieces of the next message, whole characters each."""
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
        if not request.done:  # it was stopped, or whoever listened went away
            decoding.drop(request)


def requested(model: Generator, given: Tensor, length: int, seed: int, settings: dict[str, Any]) -> Continuation:
    """What a Decoding goes on from, by the settings that a Filter knows and the model's own."""
    known = {n: v for n, v in chosen(model.process, settings, model.settings).items() if n in FILTER}
    return Continuation(given, model.process.noise([checked_seed(seed)])[0], Filter(**known), length)


class Telling:
    """The text of a request as it is drawn: whole characters, up to the first of the texts `stop`."""

    def __init__(self, model: Generator, request: Continuation, stop: Sequence[str] = ()):
        assert isinstance(model.codec, Symbols)
        self.codec, self.request, self.stop = model.codec, request, [each for each in stop if each]
        self.told, self.ended, self.stopped = "", False, False
        self.kept: int | None = None  # symbols, where a stop ended it
        self.held = max((len(each) for each in self.stop), default=1) - 1  # characters that may begin a stop

    def fresh(self) -> str:
        """What is new since the last call."""
        done = self.request.done  # asked first: another thread may be drawing
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
        """Leave out the symbols behind the one that a stop at the character `end` stands in."""
        drawn = torch.tensor(self.request.drawn, dtype=torch.int64)
        self.kept = bisect_left(range(len(drawn)), True, key=lambda n: len(self.codec.text_of(drawn[:n])) > end)

    @property
    def count(self) -> int:
        """How many of the symbols drawn are told of; some more may have been drawn since a stop."""
        return len(self.request.drawn) if self.kept is None else self.kept


def prompt_of(model: Generator, messages: list[dict[str, str]], length: int) -> Tensor:
    """(n,) symbols of the conversation, without its oldest messages where all do not fit."""
    assert isinstance(model.modality, Text) and isinstance(model.codec, Symbols)
    modality, codec, sites = model.modality, model.codec, model.codec.length

    @cache
    def since(begin: int) -> Tensor:
        kept = [m for n, m in enumerate(messages) if n >= begin or m["role"] == "system"]
        return codec.symbols_of(modality.conversation(kept), begun=False)

    # What is left begins with what the user says, since many templates refuse anything else.
    begins = [0, *(n for n, message in enumerate(messages) if n and message["role"] == "user")]
    symbols = since(0)
    if length < sites < len(symbols) + length:
        fewest = bisect_left(begins, True, 1, key=lambda begin: len(since(begin)) + length <= sites)
        symbols = since(begins[min(fewest, len(begins) - 1)])
    if len(symbols) + length > sites:
        told = f"{len(symbols):,} symbols and {length:,} to come: the model reads {sites:,}"
        raise Refusal(f"{told}; say less, or give a smaller length")
    return symbols
