"""Answers in the formats of OpenAI's API."""

import json
import time
import uuid
from typing import Any

from ..codecs.symbols import Symbols
from .texts import Choice, Texts

LEAST = -9999.0  # OpenAI's value for tokens that are nearly impossible; JSON has no infinity


class Answer:
    """Formats the answers to one request, of a chat or, without `chat`, of a completion."""

    def __init__(self, texts: Texts, model: str, chat: bool):
        self.texts, self.chat = texts, chat
        self.common = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex[:24]}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": texts.loaded.model.digest[:16] or "unsaved",
        }
        self.seen: dict[Choice, int] = {}  # the number of tokens whose logprobs were sent

    def whole(self, texts: list[str]) -> dict[str, Any]:
        choices = []
        for index, (choice, text) in enumerate(zip(self.texts.choices, texts, strict=True)):
            said = {"message": {"role": "assistant", "content": text, "refusal": None}} if self.chat else {"text": text}
            choices.append(self._choice(index, choice, said, choice.reason))
        kind = "chat.completion" if self.chat else "text_completion"
        return {**self.common, "object": kind, "choices": choices, "usage": self.texts.usage}

    def piece(self, index: int, text: str, ended: bool = False) -> str:
        """An event with new text of a choice."""
        choice = self.texts.choices[index]
        said: dict[str, Any] = {"text": text}
        if self.chat:
            said = {"delta": {} if ended and not text else {"role": "assistant", "content": text}}
        return self._event([self._choice(index, choice, said, choice.reason if ended else None)])

    def usage(self) -> str:
        return self._event([], usage=self.texts.usage)

    def _event(self, choices: list[Any], **more: Any) -> str:
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return event({**self.common, "object": kind, "choices": choices, **more})

    def _choice(self, index: int, choice: Choice, said: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {"index": index, **said, "logprobs": self._chances(choice), "finish_reason": reason}

    def _chances(self, choice: Choice) -> dict[str, Any] | None:
        """The logprobs of the tokens since the last call."""
        if choice.request.alternatives is None:
            return None
        begin = self.seen.get(choice, 0)
        chances = choice.request.chances[begin : choice.telling.count]
        self.seen[choice] = begin + len(chances)
        codec, entries = choice.telling.codec, []
        for chance in chances:
            told = [_entry(codec, *pair) for pair in [(chance.symbol, chance.logarithm), *chance.best]]
            entries.append(told[0] | {"top_logprobs": told[1:]})
        if self.chat:
            return {"content": entries}
        return {
            "tokens": [entry["token"] for entry in entries],
            "token_logprobs": [entry["logprob"] for entry in entries],
            "top_logprobs": [{best["token"]: best["logprob"] for best in e["top_logprobs"]} for e in entries],
        }


def _entry(codec: Symbols, symbol: int, value: float) -> dict[str, Any]:
    [word], raw = codec.pieces_of([symbol]), codec.bytes_of(symbol)
    return {"token": word, "logprob": max(value, LEAST), "bytes": None if raw is None else list(raw)}


def event(data: Any) -> str:
    """One event of a stream."""
    return f"data: {json.dumps(data)}\n\n"


DONE = "data: [DONE]\n\n"


def error(status: int, sentence: str, param: str | None = None) -> dict[str, Any]:
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 503: "server_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": sentence, "type": kind, "param": param, "code": status}}
