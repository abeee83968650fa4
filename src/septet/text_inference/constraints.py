"""Constrained generation: text that matches a JSON schema or a regular expression, since tokens that would break it are
never sampled.

Shapes: V symbols.
"""

import copy
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..codecs.symbols import Symbols
from ..space import Refusal
from . import grammar

MOST = 100_000  # characters of a schema or an expression


class Vocabulary:
    """The vocabulary of a codec in llguidance's form. Takes a second to build for tens of thousands of tokens."""

    def __init__(self, codec: Symbols):
        try:
            import llguidance
        except ImportError as error:
            raise Refusal("a schema or pattern needs the package llguidance; pip install 'septet[serve]'") from error
        self.end = codec.space.markers["end"]
        try:
            if codec.tokenizer is not None:
                self.tokens = llguidance.LLTokenizer(_marked(codec), eos_token=self.end)
            else:
                self.tokens = llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Plain(codec)))
        except ValueError as error:
            raise Refusal(f"this model's tokenizer does not support schemas and patterns ({error})") from error


def _marked(codec: Symbols) -> str:
    """tokenizer.json with the special tokens that the codec adds to it."""
    from tokenizers import Tokenizer

    assert codec.tokenizer is not None
    tokenizer = Tokenizer.from_str(codec.tokenizer.to_str())
    added = sorted((n, name) for name, n in codec.space.markers.items() if n >= tokenizer.get_vocab_size())
    tokenizer.add_special_tokens([f"<|{name}|>" for _, name in added])
    return tokenizer.to_str()


class _Plain:
    """A codec of characters or bytes, with the interface that llguidance expects of a tokenizer."""

    def __init__(self, codec: Symbols):
        letters = [bytes([n]) for n in range(256)] if codec.kind == "bytes" else [c.encode() for c in codec.characters]
        markers = sorted(codec.space.markers.values())
        self.codec, self.tokens = codec, letters + [f"<{n}>".encode() for n in markers]
        self.eos_token_id, self.bos_token_id = codec.space.markers["end"], None
        self.special_token_ids, self.unk_token_id = markers, None

    def __call__(self, text: bytes) -> list[int]:
        return self.codec.symbols_of(text.decode(errors="replace")).tolist()


class Constraint:
    """Masks the scores of tokens after which the text can no longer match, for use as
    processes.continuations.Continuation.adjust. When the text is complete, only the end token remains."""

    def __init__(self, vocabulary: Vocabulary, schema: dict[str, Any] | None = None, regex: str | None = None):
        from llguidance import LLMatcher

        if (schema is None) == (regex is None):
            raise Refusal("expected either a JSON schema or a regular expression; give exactly one of the two")
        kind, text = ("schema", _written(schema)) if regex is None else ("regex", regex)
        if len(text) > MOST:
            raise Refusal(f"the schema or pattern has {len(text):,} characters; at most {MOST:,} are allowed")
        grammar.check(kind, text)
        self.matcher = LLMatcher(vocabulary.tokens, grammar.written(kind, text), log_level=0)
        if self.matcher.is_error():  # the grammar is valid, but not with this vocabulary
            reason = self.matcher.get_error().partition("\n")[0][:200]
            raise Refusal(f"the schema or pattern is not supported: {reason}")
        self.vocabulary, self.taken = vocabulary, 0

    def copy(self) -> "Constraint":
        """A copy in its initial state, for another text."""
        copied = copy.copy(self)
        copied.matcher, copied.taken = self.matcher.deep_copy(), 0
        copied.matcher.reset()
        return copied

    def __call__(self, scores_V: Tensor, drawn: list[int]) -> None:
        for symbol in drawn[self.taken :]:
            self.matcher.consume_token(symbol)
        self.taken = len(drawn)
        allowed = torch.zeros(len(scores_V), dtype=torch.bool)
        if self.matcher.is_stopped() or self.matcher.is_error():
            allowed[self.vocabulary.end] = True
        else:
            bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
            found = np.unpackbits(bits, bitorder="little")[: len(scores_V)].astype(bool)
            allowed[: len(found)] = torch.from_numpy(found)
        best = scores_V.max()
        scores_V.masked_fill_(~allowed, -torch.inf)
        if not bool(scores_V.isfinite().any()):  # all allowed tokens are ones that the process never samples
            scores_V[self.vocabulary.end] = best


def _written(schema: Any) -> str:
    try:
        return json.dumps(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refusal(f"the JSON schema cannot be written as JSON: {error}") from error
