"""A conversation with a language model that was taught to answer: messages in, a reply out, piece by piece.

Shapes: n symbols.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .codecs.symbols import Symbols
from .generator import Generator
from .modalities.text import Text
from .parts import Context
from .settings import chosen
from .space import Known, Refusal
from .streams import checked_seed

ROLES = ("system", "user", "assistant")
REPLY = 512  # symbols of a reply at most, where nothing is said
UNFINISHED = "\ufffd"  # what the first bytes of a character decode to


@dataclass
class Conversation:
    """What was said so far; `reply` adds to it. The oldest messages are left out of what the model reads when they no
    longer fit, all but the system's."""

    model: Generator
    messages: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not isinstance(self.model.modality, Text) or self.model.modality.template is None:
            raise Refusal(f"{self.model.name} was not taught to converse: it has no chat template; use generate text")
        for message in self.messages:
            if message.get("role") not in ROLES or not isinstance(message.get("content"), str):
                raise Refusal(f"a message {str(message)[:80]}: expected a role ({', '.join(ROLES)}) and a content")

    def reply(
        self, said: str, seed: int = 0, length: int | None = None, stop: Sequence[str] = (), **settings: Any
    ) -> Iterator[str]:
        """Pieces of the answer to `said`, as they come; both are kept when it ends. `length` in symbols; `stop`: texts
        before which it ends."""
        asked = [*self.messages, {"role": "user", "content": said}]
        pieces = []
        for piece in replying(self.model, asked, seed, length, stop, **settings):
            pieces.append(piece)
            yield piece
        self.messages = [*asked, {"role": "assistant", "content": "".join(pieces)}]


def replying(
    model: Generator,
    messages: list[dict[str, str]],
    seed: int = 0,
    length: int | None = None,
    stop: Sequence[str] = (),
    **settings: Any,
) -> Iterator[str]:
    """Pieces of the next message, whole characters each."""
    length = length or REPLY
    given, codec = _prompt(model, messages, length), model.codec
    assert isinstance(codec, Symbols)
    settings = chosen(model.process, settings, model.settings)
    noise = model.eval().process.noise([checked_seed(seed)])
    known = Known(spans=((given,),))
    told = ""
    held = max((len(text) for text in stop), default=1) - 1  # characters that may yet turn out to begin a stop
    text = ""
    for state in model.process.draws(noise, Context(), known, length=length, **settings):
        text = codec.text_of(state.latents[0][len(given) :]).rstrip(UNFINISHED)
        ends = [place for each in stop if (place := text.find(each)) >= 0]
        if ends:
            text, held = text[: min(ends)], 0
            break
        ready = text[: len(text) - held] if held else text
        if len(ready) > len(told):
            yield ready[len(told) :]
            told = ready
    if len(text) > len(told):
        yield text[len(told) :]


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
