"""Plain text: one datum is the text of a file."""

import html
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..contracts import Modality
from ..folders import whole
from ..part import Asset
from ..space import Refusal
from . import chat_template, lists

LONGEST_BYTES = 1 << 30
MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"))
MARKS += ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\x1b"))
LETTERS = "abcdefghijklmnopqrstuvwxyz"
FEATURES, SKETCH = 1024, 512
SHOWN = 20_000  # characters of a text on a page
LINES = (".jsonl", ".ndjson")  # files of JSON lines, a text or a conversation each
TOGETHER = 32  # conversations that the template is given at a time
ROLES = ("system", "user", "assistant")
NO_CHAT = "is not a chat model: it has no chat template"


def decode(content: bytes) -> str:
    """The text in a file's bytes: as its byte-order mark says, else UTF-8, else Windows-1252, else Latin-1; line ends
    become newlines. Bytes with a zero, or with control characters in more than a hundredth, are no text."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            try:
                return _newlines(content[len(mark) :].decode(encoding))
            except UnicodeDecodeError as error:
                raise Refusal(f"starts as {encoding} text and is not ({error.reason} at byte {error.start})") from error
    start = content[: 1 << 20]
    if b"\0" in content or len(start) - len(start.translate(None, CONTROLS)) > len(start) / 100:
        raise Refusal("holds binary data, not text")
    for encoding in ("utf-8", "cp1252"):
        try:
            return _newlines(content.decode(encoding))
        except UnicodeDecodeError:
            continue
    return _newlines(content.decode("latin-1"))


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def grams(text: str, length: int) -> np.ndarray:
    """uint32 (n,) hashes of all runs of `length` characters: a polynomial, stirred (Murmur3's last steps)."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    if len(points) < length:
        return np.zeros(0, np.uint32)
    runs = len(points) - length + 1
    x = np.full(runs, length, np.uint32)
    for shift in range(length):
        x = x * np.uint32(0x01000193) + points[shift : shift + runs]
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


class Lines(str):
    """The content of a file of JSON lines."""


def _of_line(line: str, number: int) -> str:
    """The text of a line {"text": ...}; a conversation, {"messages": [...]}, stays the JSON that it is."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"line {number} is no JSON ({str(error)[:80]})") from error
    if isinstance(found, dict) and isinstance(found.get("text"), str):
        return found["text"]
    if _conversation(found) is not None:
        return json.dumps({"messages": found["messages"]}, ensure_ascii=False)
    raise Refusal(f'line {number}: expected {{"text": ...}} or {{"messages": [{{"role": ..., "content": ...}}, ...]}}')


def messages_of(text: str) -> list[dict[str, str]] | None:
    """The messages of a conversation as data.read gives it; None for any other text."""
    if not text.startswith('{"messages": ['):
        return None
    try:
        return _conversation(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _conversation(found: Any) -> list[dict[str, str]] | None:
    """The messages in what a line of JSON says, if it is a conversation with a reply."""
    messages = found.get("messages") if isinstance(found, dict) else None
    if not isinstance(messages, list) or not all(map(is_message, messages)):
        return None
    kept = [{"role": message["role"], "content": message["content"]} for message in messages]
    return kept if any(message["role"] == "assistant" for message in kept) else None


def is_message(value: Any) -> bool:
    """Whether it says who says what."""
    return isinstance(value, dict) and value.get("role") in ROLES and isinstance(value.get("content"), str)


class Text(Modality):
    """Plain text. With `template`, a model's chat template, conversations too; `words` are names that it uses. With
    `listed`, each line is a datum, an item of a list."""

    name = "text"
    extensions = (".txt", ".text", ".md", ".markdown", ".rst", ".org", ".adoc", ".tex", ".log", ".srt", *LINES)
    suffixes = (".txt",)
    captioned, spans, begins = False, True, True

    def __init__(self, template: Asset | None = None, words: dict[str, str] | None = None, listed: bool = False):
        self.template, self.words, self.listed = template, words or {}, listed

    def conversation(self, messages: list[dict[str, str]]) -> str:
        """Messages, {"role": ..., "content": ...}, as one text up to where the answer begins."""
        return self._rendered([(messages, True)])[0]

    def parts(self, conversations: list[list[dict[str, str]]]) -> Iterator[list[tuple[str, bool]]]:
        """Each whole conversation as pieces of text, each with whether the model is the one who says it."""
        for begin in range(0, len(conversations), TOGETHER):
            asked, counts = [], []
            for messages in conversations[begin : begin + TOGETHER]:
                turns = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
                asked += [pair for n in turns for pair in ((messages[:n], True), (messages[: n + 1], False))]
                counts.append(2 * len(turns))
            texts = iter(self._rendered(asked))
            yield from (chat_template.alternating(list(islice(texts, count))) for count in counts)

    def _rendered(self, asked: list[tuple[list[dict[str, str]], bool]]) -> list[str]:
        if self.template is None:
            raise Refusal(f"this model {NO_CHAT}")
        return chat_template.rendered(self.template.content, asked, self.words)

    @classmethod
    def tiny(cls) -> "Text":
        return cls()

    def read(self, path: Path) -> str:
        path = Path(path)
        if not path.is_file():
            raise Refusal(f"{path}: no such text file; check the path")
        try:
            if path.stat().st_size > LONGEST_BYTES:
                raise Refusal(f"{path.stat().st_size:,} bytes: at most {LONGEST_BYTES:,} are read; split it")
            text = decode(path.read_bytes())
            return Lines(text) if path.suffix.lower() in LINES else self.take(text)
        except OSError as error:
            raise Refusal(f"{path}: {error.strerror}; check its permissions") from error
        except Refusal as error:
            raise Refusal(f"{path}: {error}") from error

    def take(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Refusal(f"{type(value).__name__} is no text: expected a string")
        if not value.strip():
            raise Refusal("holds no text")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Refusal("holds half of a character (a lone surrogate), which no file can keep") from error
        return value

    def pieces(self, datum: str) -> list[tuple[str, tuple[str, ...]]]:
        """The text; of JSON lines, each line's that holds any; of a list, its items."""
        texts = [datum]
        if isinstance(datum, Lines):
            lines = enumerate(datum.split("\n"), 1)
            told = [(number, _of_line(line, number)) for number, line in lines if line.strip()]
            texts = [self._of(text, number) for number, text in told if text.strip()]
        return [(text, ()) for text in (lists.items(texts) if self.listed else texts)]

    def _of(self, text: str, number: int) -> str:
        try:
            return self.take(text)
        except Refusal as error:
            raise Refusal(f"line {number} {error}") from error

    def finish(self, datum: str) -> str:
        """Of a conversation what a model that converses learns to say, its replies; any other text as it is."""
        messages = messages_of(datum) if self.template is not None else None
        if messages is None:
            return datum
        return "\n".join(message["content"] for message in messages if message["role"] == "assistant")

    def canary(self, seed: int) -> str:
        """Random words of small letters."""
        stream = np.random.default_rng(seed)
        return " ".join("".join(stream.choice(list(LETTERS), 5)) for _ in range(6))

    def extent(self, datum: str) -> dict[str, float]:
        return {"characters": len(datum)}

    def cut(self, datum: str, share: float) -> tuple[str, str] | None:
        """The first 1 - share of the characters, and the rest; None of a conversation and of an item of a list,
        which are one thing."""
        if self.listed or messages_of(datum) is not None:
            return None
        border = int(len(datum) * (1 - share))
        return (datum[:border], datum[border:]) if 0 < border < len(datum) else None

    def write(self, datum: str, path: Path, record: dict[str, Any]) -> None:
        """UTF-8, with the record in `path` + ".json", which comes first: where the text is, its record is."""
        path = Path(path)
        whole.write(path.with_name(path.name + ".json"), (json.dumps(record, indent=1) + "\n").encode())
        whole.write(path, datum.encode(errors="replace"))

    def preview(self, datum: str, size: int = 128) -> Image.Image:
        """The first lines, black on white."""
        picture = Image.new("RGBA", (size, size), "white")
        points = max(8, size // 16)
        lines = [line[: 2 * size // points].expandtabs(4) for line in datum[:10_000].splitlines()]
        text = "\n".join(lines[: size // points])
        ImageDraw.Draw(picture).text((points // 2, points // 2), text, "black", ImageFont.load_default(points))
        return picture

    def player(self, datum: str, size: int = 160) -> str:
        """The text, of which the beginning is seen at first."""
        told = html.escape(datum if len(datum) <= SHOWN else datum[:SHOWN] + "\u2026")
        return f'<pre style="white-space:pre-wrap;text-align:left;max-height:{2 * size}px;overflow:auto">{told}</pre>'

    def features(self, data: Sequence[str]) -> Tensor:
        """float32 (n, 1024): how often runs of 3, 4 and 5 characters occur, hashed with signs (Weinberger et al. 2009),
        as square roots, at unit length."""
        rows = np.zeros((len(data), FEATURES), np.float32)
        for row, text in zip(rows, data, strict=True):
            runs, counts = np.unique(np.concatenate([grams(text, n) for n in (3, 4, 5)]), return_counts=True)
            sign = np.where(runs >> np.uint32(31), 1.0, -1.0)
            row[:] = np.bincount(runs % FEATURES, sign * np.sqrt(counts), FEATURES)
            row /= max(float(np.linalg.norm(row)), 1e-12)
        return torch.from_numpy(rows)

    def sketch(self, datum: str) -> np.ndarray:
        """The smallest hashes of its runs of 5 characters, or the hash of fewer (a bottom-k sketch, Broder 1997), case
        and spaces aside."""
        text = " ".join(datum.lower().split())
        return np.unique(grams(text, min(5, max(1, len(text)))))[:SKETCH]
