"""Subword tokenizers: tokenizer.json of the library tokenizers, whoever wrote it; what goes wrong is a Refusal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..space import Refusal

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

COMPILED = "Precompiled"  # a normalizer whose first bytes tell how much memory is taken, unchecked, before it is read


def opened(content: str) -> "Tokenizer":
    """The tokenizer, which neither cuts nor pads a text."""
    from tokenizers import Tokenizer

    with refusing("be opened"):
        normalizer = json.loads(content).get("normalizer")
        if COMPILED in json.dumps(normalizer):
            raise Refusal(f"a tokenizer with a normalizer of the kind {COMPILED} is not read; choose another model")
        tokenizer = Tokenizer.from_str(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def size(tokenizer: "Tokenizer") -> int:
    """How many symbols a table needs for all that it may say, what it adds to texts included."""
    return max([0, *tokenizer.get_vocab().values(), *encoded(tokenizer, "").ids]) + 1


def encoded(tokenizer: "Tokenizer", text: str, begun: bool = True) -> "Encoding":
    """A text's symbols; with `begun`, between what it adds to every text."""
    with refusing(f"take {text[:40]!r}"):
        return tokenizer.encode(text, add_special_tokens=begun)


@contextmanager
def refusing(doing: str) -> Iterator[None]:
    """Turns what the library raises into a Refusal: plain exceptions, and panics, where it gives up on a pattern, which
    are no Exception and of a class that cannot be imported."""
    try:
        yield
    except (Refusal, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise Refusal(f"the tokenizer cannot {doing} ({reason}); give another text, or another model") from error
