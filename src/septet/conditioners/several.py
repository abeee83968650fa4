"""Prompts with several named parts, each encoded by its own conditioner.

Shapes: B batch, M context tokens, D width.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..contracts import Conditioner, Context, Modality, Prompt
from ..space import Refusal


class Several(Conditioner):
    """Composes named conditioners. A prompt is {name: value}, with the names of `parts`; a string, and values with
    other names, go to the first part that takes words.

    Tokens are concatenated, those of each part but the last padded to its `length`, so that the encoding of a prompt
    does not depend on its batch: the part whose prompts differ most in length should be the last. Where some parts
    give tokens, a part that gives only a vector contributes it as a token too. Vectors are summed, and so are aligned
    values.
    """

    def __init__(self, parts: dict[str, Conditioner]):
        super().__init__()
        if not parts:
            raise Refusal("parts={}: expected at least one conditioner, by name")
        if any(isinstance(part, Several) for part in parts.values()):
            raise Refusal("a Several as a part of Several: give all parts to one Several")
        self.parts = nn.ModuleDict(parts)
        self.words = next((name for name, part in parts.items() if part.modality is None), None)
        self.length = sum(part.length for part in parts.values())

    @classmethod
    def tiny(cls) -> "Several":
        from .content import Content
        from .text import Text

        return cls({"picture": Content.tiny(), "text": Text.tiny()})

    def _each(self) -> Iterable[tuple[str, Any]]:
        return self.parts.items()

    @property
    def contents(self) -> dict[str, Modality]:
        return {name: part.modality for name, part in self._each() if part.modality is not None}

    def named(self, prompt: Prompt) -> dict[str, Any]:
        """Parses a prompt to values by the name of their part. Raises Refusal for an unknown name."""
        if not prompt:
            return {}
        if not isinstance(prompt, str | Mapping):
            raise Refusal(f"a prompt of type {type(prompt).__name__}: expected a text, or {self._expected()}")
        values = {"text": prompt} if isinstance(prompt, str) else dict(prompt)
        own = {name: values.pop(name) for name in self.parts if name in values}
        if not values:
            return own
        if self.words is None or self.words in own or not all(isinstance(value, str) for value in values.values()):
            raise Refusal(f"{next(iter(values))!r} in a prompt: expected {self._expected()}")
        return own | {self.words: values["text"] if set(values) == {"text"} else values}

    def _expected(self) -> str:
        kinds = (f"{n} ({'words' if p.modality is None else p.modality.name})" for n, p in self._each())
        return f"values by name: {', '.join(kinds)}"

    def accepted(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """The prompts, without their words if no part takes words."""
        if self.words is not None:
            return list(prompts)
        told = [prompt if isinstance(prompt, Mapping) else {} for prompt in prompts]
        return [{name: value for name, value in p.items() if name in self.parts} or None for p in told]

    def prepare(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        rows = [self.named(prompt) for prompt in prompts]
        return {name: part.prepare([row.get(name) for row in rows]) for name, part in self._each()}

    def forward(self, prepared: dict[str, Tensor]) -> Context:
        heard: list[tuple[Any, Context]] = [(part, part(prepared[name])) for name, part in self._each()]
        tokens, valid = _side_by_side([_with_tokens(part, context) for part, context in heard])
        vectors = [context.vector_BD for _, context in heard if context.vector_BD is not None]
        aligned = [context.aligned_BND for _, context in heard if context.aligned_BND is not None]
        symbols = [context.symbols_BM for _, context in heard if context.symbols_BM is not None]
        return Context(
            tokens,
            valid,
            torch.stack(vectors).sum(0) if vectors else None,
            torch.stack(aligned).sum(0) if aligned else None,
            torch.cat(symbols, 1) if len(symbols) == len(heard) else None,  # all parts or none: a table per label
        )

    def examples(self) -> Sequence[Prompt]:
        """Examples of words only: no content is stored."""
        return [None] if self.words is None else self.parts[self.words].examples()  # pyright: ignore

    def unseen(self, prompt: Prompt) -> list[str]:
        return self._of_parts(prompt, lambda part, value: part.unseen(value))

    def unread(self, prompt: Prompt) -> list[str]:
        return self._of_parts(prompt, lambda part, value: part.unread(value))

    def _of_parts(self, prompt: Prompt, ask: Callable[[Any, Any], list[str]]) -> list[str]:
        return [word for name, value in self.named(prompt).items() for word in ask(self.parts[name], value)]


def _with_tokens(part: Conditioner, context: Context) -> tuple[int, Tensor | None, Tensor | None, bool]:
    """A part's maximum number of tokens, its tokens, which are valid, and whether they are only its vector."""
    tokens, valid, only = context.tokens_BMD, context.valid_BM, False
    if tokens is None and context.vector_BD is not None:
        tokens, valid, only = context.vector_BD[:, None], None, True
    if tokens is not None and valid is None:
        valid = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    return max(part.length, 1 if only else 0), tokens, valid, only


def _side_by_side(parts: list[tuple[int, Tensor | None, Tensor | None, bool]]) -> tuple[Tensor | None, Tensor | None]:
    found = [(length, tokens, valid) for length, tokens, valid, _ in parts if tokens is not None and valid is not None]
    if all(only for _, tokens, _, only in parts if tokens is not None):
        return None, None
    short = [max(0, length - tokens.shape[1]) for length, tokens, _ in found[:-1]] + [0]
    tokens = torch.cat([F.pad(t, (0, 0, 0, n)) for (_, t, _), n in zip(found, short, strict=True)], 1)
    return tokens, torch.cat([F.pad(v, (0, n)) for (_, _, v), n in zip(found, short, strict=True)], 1)
