"""Hashes of the content of data, independent of file and memory layout."""

import dataclasses
import hashlib
from typing import Any

import numpy as np

from ..space import Refusal


def digest(datum: Any) -> bytes:
    """A 16-byte hash of a datum: arrays, strings, bytes, numbers, None, dataclasses, and lists, tuples and dicts of
    them. Raises Refusal for other types. Independent of the order of a dict and the byte order of an array; a list and
    a tuple have the same hash."""
    return hashlib.blake2b(_framed(datum), digest_size=16).digest()


def sha256_of(datum: Any) -> str:
    """SHA-256 of the same, as 64 hexadecimal digits, for records."""
    return hashlib.sha256(_framed(datum)).hexdigest()


def _framed(datum: Any) -> bytes:
    kind, content = _content(datum)
    return f"{len(content) + 1}:{kind}".encode() + content


def _content(value: Any) -> tuple[str, bytes]:
    """A letter for the type of value, and bytes that differ for different values of this type."""
    if isinstance(value, str):
        return "s", value.encode(errors="surrogatepass")
    if isinstance(value, bytes):
        return "b", value
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        array = np.asarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
        return "a", f"{array.dtype}{array.shape}".encode() + array.tobytes()
    if value is None or isinstance(value, bool | int | float | complex):
        return "r", repr(value).encode()
    if isinstance(value, list | tuple):
        return "l", b"".join(map(digest, value))
    if isinstance(value, dict):
        return "d", b"".join(sorted(digest(key) + digest(inner) for key, inner in value.items()))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = [digest(getattr(value, field.name)) for field in dataclasses.fields(value)]
        return "c", b"".join([type(value).__name__.encode(), b"\0", *inner])
    what = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
    raise Refusal(
        f"a datum of {what}: expected arrays, strings, bytes, numbers, dataclasses, and lists, tuples and dicts of "
        "them; let the modality read it as one of these"
    )
