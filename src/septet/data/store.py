"""Where items are kept: arrays of one shape lie in one piece, in memory or beyond a limit in a file on the disk."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..folders.whole import refusing


class Store:
    """Appended to one item at a time. Arrays that outgrow `memory_bytes` move to a file that has no name and vanishes
    with the process; it lies where TMPDIR says."""

    def __init__(self, memory_bytes: int):
        self.memory_bytes = memory_bytes
        self.others: list[Any] = []
        self.bytes, self.file = bytearray(), None
        self.shape: tuple[int, ...] | None = None
        self.dtype, self.count = np.dtype(np.uint8), 0

    def append(self, datum: Any) -> None:
        if isinstance(datum, np.ndarray) and not self.others and self.shape in (None, datum.shape):
            self.shape, self.dtype = datum.shape, datum.dtype
            self._keep(datum.tobytes())
        else:  # no arrays, or not of one shape
            if self.shape is not None:
                self.others, self.shape = list(self._array()), None
            self.others.append(datum)
        self.count += 1

    def _keep(self, content: bytes) -> None:
        with refusing(Path(tempfile.gettempdir())):
            if self.file is None and len(self.bytes) + len(content) > self.memory_bytes:
                self.file = tempfile.TemporaryFile(prefix="septet-")  # noqa: SIM115 - open as long as the items are
                self.file.write(self.bytes)
                self.bytes = bytearray()
            if self.file is None:
                self.bytes += content
            else:
                self.file.write(content)

    def _array(self) -> np.ndarray:
        shape = (self.count, *(self.shape or ()))
        if self.file is None:
            return np.frombuffer(self.bytes, self.dtype, count=math.prod(shape)).reshape(shape)
        with refusing(Path(tempfile.gettempdir())), self.file:
            return np.memmap(self.file, self.dtype, "r+", shape=shape)  # holds the file open by itself

    def finished(self) -> Sequence[Any] | np.ndarray:
        """All items: an array (n, *shape), writable, or a list."""
        return self.others if self.shape is None else self._array()
