"""Datasets as compressed .npz files without pickles; texts are stored as UTF-8 bytes and offsets."""

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from septet.storage import whole


def save(out: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes the file atomically."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    out.parent.mkdir(parents=True, exist_ok=True)
    whole.write(out, stream.getvalue())


def packed(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of all texts, and the offsets at which each begins and the last ends."""
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)])


def unpacked(letters: np.ndarray, offsets: np.ndarray) -> list[str]:
    """The inverse of `packed`."""
    text = letters.tobytes()
    return [text[begin:end].decode() for begin, end in pairwise(offsets.tolist())]
