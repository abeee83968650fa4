"""A conversation with a language model that was taught to answer: messages in, a reply out, piece by piece.

Shapes: n symbols.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from .codecs.symbols import Symbols
from .generator import Generator
from .modalities.text import Text
from .processes.autoregressive import Autoregressive
from .processes.decoding import Decoding, Request
from .processes.filters import Filter
from .settings import chosen
from .space import Refusal
from .streams import checked_seed

ROLES = ("system", "user", "assistant")
FILTER = {field.name for field in fields(Filter)}
LARGE = 30_000_000  # parameters from which reading them takes longer than all else
REPLY = 512  # symbols of a reply at most, where nothing is said
UNFINISHED = "\ufffd"  # what the first bytes of a character decode to


@dataclass
class Conversation:
    """What was said so far; `reply` adds to it. The oldest messages are left out of what the model reads when they no
    longer fit, all but the system's. `bits` as in decoding_of."""

    model: Generator
    messages: list[dict[str, str]] = field(default_factory=list)
    bits: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model.modality, Text) or self.model.modality.template is None:
            raise Refusal(f"{self.model.name} was not taught to converse: it has no chat template; use generate text")
        for message in self.messages:
            if message.get("role") not in ROLES or not isinstance(message.get("content"), str):
                raise Refusal(f"a message {str(message)[:80]}: expected a role ({', '.join(ROLES)}) and a content")
        self.decoding = decoding_of(self.model, self.bits)

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


def decoding_of(model: Generator, bits: int | None = None, rows: int = 1) -> Decoding:
    """A Decoding of a language model in `bits`; if left out, in the 4 that it was published in, 8 for other large ones,
    32 for small ones. The head stays at 8 at least: in 4 it costs 2 % of the perplexity."""
    if not isinstance(model.process, Autoregressive):
        raise Refusal(f"{model.name} draws by {type(model.process).__name__}; a conversation needs an Autoregressive")
    bits = bits or (4 if model.grid else 8 if model.size > LARGE else 32)
    grid = model.grid or (lambda name: None)
    return Decoding(model.process, rows, bits=bits, head_bits=max(bits, 8), grid=grid)


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
    codec, length = model.codec, length or REPLY
    assert isinstance(codec, Symbols)
    settings = {n: v for n, v in chosen(model.process, settings, model.settings).items() if n in FILTER}
    noise = model.process.noise([checked_seed(seed)])[0]
    request = Request(_prompt(model, messages, length), noise, Filter(**settings), length)
    decoding.admit(request)
    told, text, ended = "", "", False
    held = max((len(each) for each in stop), default=1) - 1  # characters that may yet turn out to begin a stop
    try:
        while not (request.done or ended):
            decoding.step()
            text = codec.text_of(torch.tensor(request.drawn, dtype=torch.int64)).rstrip(UNFINISHED)
            ends = [place for each in stop if (place := text.find(each)) >= 0]
            text, ended = (text[: min(ends)], True) if ends else (text, False)
            ready = text if request.done or ended else text[: len(text) - held]
            if len(ready) > len(told):
                yield ready[len(told) :]
                told = ready
    finally:
        if not request.done:  # it was stopped, or whoever listened went away
            decoding.drop(request)


def _prompt(model: Generator, messages: list[dict[str, str]], length: int) -> Tensor:
    """(n,) symbols of the conversation, without its oldest messages where all do not fit."""
    assert isinstance(model.modality, Text) and isinstance(model.codec, Symbols)
    sites = model.codec.length
    kept = list(messages)
    while True:
        symbols = model.codec.symbols_of(model.modality.conversation(kept), begun=False)
        if len(symbols) + length <= sites:
            return symbols
        old = next((n for n, message in enumerate(kept[:-1]) if message["role"] != "system"), None)
        if old is None:
            raise Refusal(
                f"{len(symbols):,} symbols and {length:,} to come: the model reads {sites:,}; say less, or give a "
                "smaller length"
            )
        del kept[old]
