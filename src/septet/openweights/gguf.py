"""A reader for GGUF files from untrusted sources: metadata, and tensors mapped from disk.

All counts, sizes and offsets in a file are checked against the file's size before they are used.
Supports versions 2 and 3 of the format (docs/gguf.md of ggml), little-endian.
"""

import mmap
import struct
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..space import Refusal

MOST_ENTRIES, MOST_TENSORS, MOST_AXES = 10_000, 100_000, 4
MOST_NESTED = 4  # depth of nested arrays
BLOCK = 32  # weights that share a scale
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
# By GGML's type number: name, weights per block, bytes per block.
KINDS = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", BLOCK, 18),
    3: ("Q4_1", BLOCK, 20),
    8: ("Q8_0", BLOCK, 34),
    30: ("BF16", 1, 2),
}
# Unsupported types, named in error messages.
UNREAD = {6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K"}
UNREAD |= {16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S"}
UNREAD |= {23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0"}


@dataclass(frozen=True)
class Entry:
    """The location of a tensor: shape in PyTorch's order, kind (a name in KINDS), offset from the beginning of the file
    and size, both in bytes."""

    shape: tuple[int, ...]
    kind: str
    offset: int
    size: int


class _Cursor:
    """Reads values one after another. Raises Refusal when a value extends beyond the end of the file."""

    def __init__(self, content: mmap.mmap, path: Path):
        self.content, self.path, self.at = content, path, 0

    def refuse(self, reason: str) -> Refusal:
        return Refusal(f"{self.path} is not a whole GGUF file: {reason}; use another copy")

    def take(self, count: int) -> bytes:
        if count > len(self.content) - self.at:
            raise self.refuse(f"at byte {self.at:,} of {len(self.content):,}, it declares a value of {count:,} bytes")
        self.at += count
        return self.content[self.at - count : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0]

    def count(self, most: int, what: str) -> int:
        found = self.number("Q")
        if found > most:
            raise self.refuse(f"it declares {found:,} {what}, more than the limit of {most:,}")
        return found

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", errors="replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind == STRING:
            return self.text()
        if kind != ARRAY or depth >= MOST_NESTED:
            raise self.refuse(f"a value of the unknown type {kind}" if kind != ARRAY else "arrays nested too deeply")
        inner, count = self.number("I"), self.number("Q")
        if inner in SCALARS:
            form = SCALARS[inner]
            size = struct.calcsize(form)
            if count > (len(self.content) - self.at) // size:
                raise self.refuse(f"it declares an array of {count:,} values, longer than the file")
            return np.frombuffer(self.take(count * size), np.dtype(form).newbyteorder("<")).tolist()
        if count > (len(self.content) - self.at) // 8:  # a string or an array takes at least 8 bytes
            raise self.refuse(f"it declares an array of {count:,} values, longer than the file")
        return [self.value(inner, depth + 1) for _ in range(count)]


class File:
    """An open GGUF file, with `metadata` and the tensors' `entries` by name."""

    def __init__(self, path: Path):
        self.path = path
        with open(path, "rb") as file:
            try:
                self.content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:  # an empty file
                raise Refusal(f"{path} is not a whole GGUF file: {error}; use another copy") from error
        cursor = _Cursor(self.content, path)
        if cursor.take(4) != b"GGUF":
            raise cursor.refuse("it does not begin with GGUF")
        version = cursor.number("I")
        if version not in (2, 3):
            raise cursor.refuse(f"it has version {version}, and only versions 2 and 3 are supported")
        tensors = cursor.count(MOST_TENSORS, "tensors")
        entries = cursor.count(MOST_ENTRIES, "entries")
        self.metadata = {cursor.text(): cursor.value(cursor.number("I")) for _ in range(entries)}
        self.entries = self._entries(cursor, tensors)

    def _entries(self, cursor: _Cursor, count: int) -> dict[str, Entry]:
        found = []
        for _ in range(count):
            name, axes = cursor.text(), cursor.number("I")
            if axes > MOST_AXES:
                raise cursor.refuse(f"the tensor {name[:80]!r} has {axes} axes")
            shape = tuple(cursor.number("Q") for _ in range(axes))[::-1]
            found.append((name, shape, cursor.number("I"), cursor.number("Q")))
        alignment = self.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise cursor.refuse(f"general.alignment={alignment!r}")
        begin = -(-cursor.at // alignment) * alignment
        entries = {}
        for name, shape, number, offset in found:
            if name in entries:
                raise cursor.refuse(f"it has two tensors {name[:80]!r}")
            entries[name] = self._entry(cursor, name[:80], shape, number, begin + offset)
        self._apart(cursor, entries)
        return entries

    def _entry(self, cursor: _Cursor, name: str, shape: tuple[int, ...], number: int, offset: int) -> Entry:
        if number not in KINDS:
            readable = ", ".join(kind for kind, _, _ in KINDS.values())
            raise Refusal(
                f"{self.path}: the tensor {name!r} is of type {UNREAD.get(number, number)}, which is not supported; "
                f"use a file of one of the types {readable}"
            )
        kind, weights, size = KINDS[number]
        if not shape or min(shape) < 1 or shape[-1] % weights or prod(shape) > len(self.content) * weights:
            raise cursor.refuse(f"the tensor {name!r} has the shape {shape}")
        total = prod(shape) // weights * size
        if offset + total > len(self.content):
            raise cursor.refuse(f"the tensor {name!r} ends {offset + total - len(self.content):,} bytes after the file")
        return Entry(shape, kind, offset, total)

    def _apart(self, cursor: _Cursor, entries: dict[str, Entry]) -> None:
        """Raises Refusal if tensors overlap."""
        ordered = sorted(entries.items(), key=lambda item: item[1].offset)
        for (name, one), (other, two) in pairwise(ordered):
            if one.offset + one.size > two.offset:
                raise cursor.refuse(f"the tensors {name[:80]!r} and {other[:80]!r} overlap")

    def raw(self, name: str) -> np.ndarray:
        """The stored bytes of a tensor, uint8 (rows, bytes per row), with all axes but the last flattened to rows."""
        entry = self.entries[name]
        flat = np.frombuffer(self.content, np.uint8, entry.size, entry.offset)
        return flat.reshape(prod(entry.shape[:-1]), -1)

    def weight(self, name: str) -> Tensor:
        """A tensor, dequantised to fp32."""
        entry, raw = self.entries[name], self.raw(name)
        if entry.kind == "F32":
            values = raw.view("<f4")
        elif entry.kind == "F16":
            values = raw.view("<f2")
        elif entry.kind == "BF16":
            values = (raw.view("<u2").astype(np.uint32) << 16).view("<f4")
        else:
            scale, shift, numbers = blocks(raw, entry.kind)
            values = (numbers * scale[..., None] + shift[..., None]).reshape(len(raw), -1)
        return torch.from_numpy(values.astype(np.float32, copy=entry.kind == "F32")).reshape(entry.shape)


def blocks(raw: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unpacks quantised rows, uint8 (rows, bytes per row): returns scale and shift, fp32 (rows, blocks), and the
    quantised values, (rows, blocks, BLOCK). A weight is value * scale + shift."""
    size = {name: size for name, _, size in KINDS.values()}[kind]
    cut = raw.reshape(len(raw), -1, size)
    scale = cut[..., :2].copy().view("<f2")[..., 0].astype(np.float32)
    if kind == "Q8_0":
        return scale, np.zeros_like(scale), cut[..., 2:].view(np.int8).astype(np.float32)
    begin = 4 if kind == "Q4_1" else 2
    nibbles = np.concatenate([cut[..., begin:] & 15, cut[..., begin:] >> 4], -1).astype(np.float32)
    if kind == "Q4_1":
        return scale, cut[..., 2:4].copy().view("<f2")[..., 0].astype(np.float32), nibbles
    return scale, -8 * scale, nibbles
