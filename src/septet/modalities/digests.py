"""Hashes of data by what they hold, whatever file or memory they came from."""

import dataclasses
import hashlib
from typing import Any

import numpy as np

from ..space import Refusal


def digest(datum: Any) -> bytes:
    """A hash of a datum's content: of arrays, strings, bytes, numbers, None, dataclasses, and lists, tuples and dicts
    of them; anything else is a Refusal that names its type. Equal data have the same hash, whatever the order of a dict
    or the byte order of an array; a list equals a tuple."""
    return hashlib.blake2b(_framed(datum), digest_size=16).digest()


def sha256_of(datum: Any) -> str:
    """The same as 64 hexadecimal digits of SHA-256, for a record."""
    return hashlib.sha256(_framed(datum)).hexdigest()


def _framed(datum: Any) -> bytes:
    kind, content = _content(datum)
    return f"{len(content) + 1}:{kind}".encode() + content


def _content(value: Any) -> tuple[str, bytes]:
    """A letter for the kind of value, and bytes that no other value of this kind has."""
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
