"""Subword tokenizers: tokenizer.json of the library tokenizers, from any source. Its errors become Refusals."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..space import Refusal

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

COMPILED = "Precompiled"  # a normalizer whose first bytes set how much memory is allocated, unchecked


def opened(content: str) -> "Tokenizer":
    """Loads a tokenizer, without truncation and padding. Raises Refusal if it cannot be loaded."""
    from tokenizers import Tokenizer

    with refusing("be opened"):
        normalizer = json.loads(content).get("normalizer")
        if COMPILED in json.dumps(normalizer):
            raise Refusal(
                f"the tokenizer's normalizer is of type {COMPILED}, which is not supported; choose another model"
            )
        tokenizer = Tokenizer.from_str(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def size(tokenizer: "Tokenizer") -> int:
    """The embedding size that the tokenizer needs: its largest id + 1, special tokens included."""
    return max([0, *tokenizer.get_vocab().values(), *encoded(tokenizer, "").ids]) + 1


def encoded(tokenizer: "Tokenizer", text: str, begun: bool = True) -> "Encoding":
    """Tokenises a text; with `begun`, including the special tokens that the tokenizer adds to every text."""
    with refusing(f"take {text[:40]!r}"):
        return tokenizer.encode(text, add_special_tokens=begun)


@contextmanager
def refusing(doing: str) -> Iterator[None]:
    """Converts errors of the library to Refusals: exceptions, and panics, which it raises for some patterns; these do
    not derive from Exception, and their class cannot be imported."""
    try:
        yield
    except (Refusal, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise Refusal(f"the tokenizer cannot {doing} ({reason}); give another text, or another model") from error
