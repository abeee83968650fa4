"""Plain text: a datum is the text of a file, a line of JSON lines, or an item of a list."""

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
from ..part import Asset
from ..space import Refusal
from ..storage import whole
from . import chat_template, lists

LONGEST_BYTES = 1 << 30
MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"))
MARKS += ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\x1b"))
LETTERS = "abcdefghijklmnopqrstuvwxyz"
FEATURES, SKETCH = 1024, 512
SHOWN = 20_000  # characters shown in HTML
LINES = (".jsonl", ".ndjson")  # files with a text or a conversation in each line
TOGETHER = 32  # conversations formatted in one process
ROLES = ("system", "user", "assistant")
NO_CHAT = "is not a chat model: it has no chat template"


def decode(content: bytes) -> str:
    """Decodes a file's bytes: by its byte-order mark, else as UTF-8, Windows-1252 or Latin-1, whichever succeeds first;
    line ends become newlines. Raises Refusal for binary data: with a zero, or over 1 % control characters."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            try:
                return _newlines(content[len(mark) :].decode(encoding))
            except UnicodeDecodeError as error:
                raise Refusal(f"begins as {encoding} text but is not ({error.reason} at byte {error.start})") from error
    start = content[: 1 << 20]
    if b"\0" in content or len(start) - len(start.translate(None, CONTROLS)) > len(start) / 100:
        raise Refusal("contains binary data, not text")
    for encoding in ("utf-8", "cp1252"):
        try:
            return _newlines(content.decode(encoding))
        except UnicodeDecodeError:
            continue
    return _newlines(content.decode("latin-1"))


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def grams(text: str, length: int) -> np.ndarray:
    """uint32 (n,) hashes of all n-grams of `length` characters: a polynomial hash, mixed by Murmur3's finaliser."""
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
    """The content of a JSON lines file."""


def _of_line(line: str, number: int) -> str:
    """The text of a line {"text": ...}; a conversation, {"messages": [...]}, is returned as JSON."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"line {number} is not JSON ({str(error)[:80]})") from error
    if isinstance(found, dict) and isinstance(found.get("text"), str):
        return found["text"]
    if _conversation(found) is not None:
        return json.dumps({"messages": found["messages"]}, ensure_ascii=False)
    raise Refusal(f'line {number}: expected {{"text": ...}} or {{"messages": [{{"role": ..., "content": ...}}, ...]}}')


def messages_of(text: str) -> list[dict[str, str]] | None:
    """The messages of a conversation, a datum in JSON; None for any other text."""
    if not text.startswith('{"messages": ['):
        return None
    try:
        return _conversation(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _conversation(found: Any) -> list[dict[str, str]] | None:
    """The messages of a parsed JSON line, if it is a conversation with at least one reply."""
    messages = found.get("messages") if isinstance(found, dict) else None
    if not isinstance(messages, list) or not all(map(is_message, messages)):
        return None
    kept = [{"role": message["role"], "content": message["content"]} for message in messages]
    return kept if any(message["role"] == "assistant" for message in kept) else None


def is_message(value: Any) -> bool:
    """Whether `value` is a message with a role and content."""
    return isinstance(value, dict) and value.get("role") in ROLES and isinstance(value.get("content"), str)


class Text(Modality):
    """Plain text. With `template`, a chat template, also conversations; `words` are the template's variables. With
    `listed`, each line is a datum, an item of a list."""

    name = "text"
    extensions = (".txt", ".text", ".md", ".markdown", ".rst", ".org", ".adoc", ".tex", ".log", ".srt", *LINES)
    suffixes = (".txt",)
    captioned, compares_spans, begins = False, True, True

    def __init__(self, template: Asset | None = None, words: dict[str, str] | None = None, listed: bool = False):
        self.template, self.words, self.listed = template, words or {}, listed

    def conversation(self, messages: list[dict[str, str]]) -> str:
        """Formats messages, {"role": ..., "content": ...}, as a prompt that ends where the reply begins."""
        return self._rendered([(messages, True)])[0]

    def parts(self, conversations: list[list[dict[str, str]]]) -> Iterator[list[tuple[str, bool]]]:
        """Yields each conversation as (piece of text, whether it is the model's reply) pairs."""
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
                raise Refusal(f"{path.stat().st_size:,} bytes: expected at most {LONGEST_BYTES:,}; split the file")
            text = decode(path.read_bytes())
            return Lines(text) if path.suffix.lower() in LINES else self.take(text)
        except OSError as error:
            raise Refusal(f"{path}: {error.strerror}; check its permissions") from error
        except Refusal as error:
            raise Refusal(f"{path}: {error}") from error

    def take(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Refusal(f"{type(value).__name__}: expected a string")
        if not value.strip():
            raise Refusal("contains no text")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Refusal("contains half a character (a lone surrogate), which cannot be encoded; remove it") from error
        return value

    def pieces(self, datum: str) -> list[tuple[str, tuple[str, ...]]]:
        """The text; for JSON lines, the text of each line that is not empty; for a list, its items."""
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

    def postprocess(self, datum: str) -> str:
        """The replies of a conversation, if there is a chat template; any other text unchanged."""
        messages = messages_of(datum) if self.template is not None else None
        if messages is None:
            return datum
        return "\n".join(message["content"] for message in messages if message["role"] == "assistant")

    def canary(self, seed: int) -> str:
        """Six words of five random lower-case letters."""
        stream = np.random.default_rng(seed)
        return " ".join("".join(stream.choice(list(LETTERS), 5)) for _ in range(6))

    def extent(self, datum: str) -> dict[str, float]:
        return {"characters": len(datum)}

    def cut(self, datum: str, fraction: float) -> tuple[str, str] | None:
        """The first 1 - fraction of the characters, and the rest; None for conversations and items of lists: they are
        never split."""
        if self.listed or messages_of(datum) is not None:
            return None
        border = int(len(datum) * (1 - fraction))
        return (datum[:border], datum[border:]) if 0 < border < len(datum) else None

    def write(self, datum: str, path: Path, record: dict[str, Any]) -> None:
        """Writes UTF-8, and before it the record, to `path` + ".json", so that a text always has its record."""
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

    def html(self, datum: str, size: int = 160) -> str:
        """The text in a box that scrolls; at most SHOWN characters."""
        told = html.escape(datum if len(datum) <= SHOWN else datum[:SHOWN] + "\u2026")
        return f'<pre style="white-space:pre-wrap;text-align:left;max-height:{2 * size}px;overflow:auto">{told}</pre>'

    def features(self, data: Sequence[str]) -> Tensor:
        """float32 (n, 1024): square roots of the counts of n-grams of 3, 4 and 5 characters, by signed feature hashing
        (Weinberger et al. 2009), at unit length."""
        rows = np.zeros((len(data), FEATURES), np.float32)
        for row, text in zip(rows, data, strict=True):
            runs, counts = np.unique(np.concatenate([grams(text, n) for n in (3, 4, 5)]), return_counts=True)
            sign = np.where(runs >> np.uint32(31), 1.0, -1.0)
            row[:] = np.bincount(runs % FEATURES, sign * np.sqrt(counts), FEATURES)
            row /= max(float(np.linalg.norm(row)), 1e-12)
        return torch.from_numpy(rows)

    def shingles(self, datum: str) -> np.ndarray:
        """The smallest hashes of the n-grams of 5 characters (a bottom-k sketch, Broder 1997), ignoring case and
        whitespace; for a shorter text, its hash."""
        text = " ".join(datum.lower().split())
        return np.unique(grams(text, min(5, max(1, len(text)))))[:SKETCH]
