"""Storage of items: arrays are concatenated in memory or, beyond a limit, in a file; other data are kept in a list."""

import operator
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..storage.whole import refusing


class Ragged(Sequence[np.ndarray]):
    """Read-only arrays of several shapes or dtypes, concatenated in `memory`; item i begins at byte `begin_n[i]` and
    has the dtype and shape `forms[form_n[i]]`."""

    def __init__(self, memory: Any, begin_n: Sequence[int], form_n: Sequence[int], forms: list[tuple[np.dtype, Any]]):
        self.memory, self.begin_n, self.form_n, self.forms = memory, begin_n, form_n, forms

    def __len__(self) -> int:
        return len(self.begin_n)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = operator.index(index)
        dtype, shape = self.forms[self.form_n[index]]
        found = np.ndarray(shape, dtype, self.memory, self.begin_n[index])
        found.flags.writeable = False
        return found


class Store:
    """Collects items. Arrays beyond `memory_bytes` are moved to an anonymous temporary file in TMPDIR, which is removed
    when the process ends. Arrays are converted to native byte order."""

    def __init__(self, memory_bytes: int):
        self.memory_bytes = memory_bytes
        self.bytes, self.file, self.size = bytearray(), None, 0
        self.begin_n, self.form_n = array("q"), array("q")
        self.form_of: dict[tuple[np.dtype, tuple[int, ...]], int] = {}
        self.others: dict[int, Any] = {}  # items that are not arrays, by index

    def append(self, datum: Any) -> None:
        if not isinstance(datum, np.ndarray) or datum.dtype.hasobject:
            self.others[len(self.begin_n)] = datum
            self.begin_n.append(0)
            self.form_n.append(0)
            return
        datum = np.asarray(datum, datum.dtype.newbyteorder("="))
        self._keep(bytes(-self.size % max(1, datum.dtype.alignment)))
        self.begin_n.append(self.size)
        self.form_n.append(self.form_of.setdefault((datum.dtype, datum.shape), len(self.form_of)))
        self._keep(datum.tobytes())

    def _keep(self, content: bytes) -> None:
        self.size += len(content)
        with refusing(Path(tempfile.gettempdir())):
            if self.file is None and self.size > self.memory_bytes:
                self.file = tempfile.TemporaryFile(prefix="septet-")  # noqa: SIM115 - stays open as long as the items are used
                self.file.write(self.bytes)
                self.bytes = bytearray()
            if self.file is None:
                self.bytes += content
            else:
                self.file.write(content)

    def _memory(self) -> Any:
        if self.file is None:
            return np.frombuffer(self.bytes, np.uint8)
        with refusing(Path(tempfile.gettempdir())), self.file:
            return np.memmap(self.file, np.uint8, "r+", shape=(self.size,))  # keeps the file open

    def finished(self) -> Sequence[Any] | np.ndarray:
        """All items: a writable array (n, *shape) if they are arrays of one shape and dtype, Ragged if they are other
        arrays, else a list."""
        count, forms = len(self.begin_n), list(self.form_of)
        if len(self.others) == count:
            return list(self.others.values())
        memory = self._memory()
        if not self.others and len(forms) == 1:
            dtype, shape = forms[0]
            return memory.view(dtype).reshape(count, *shape)
        ragged = Ragged(memory, self.begin_n, self.form_n, forms)
        return [self.others.get(i, ragged[i]) for i in range(count)] if self.others else ragged


def stored(items: Iterable[Any], memory_bytes: int) -> Sequence[Any] | np.ndarray:
    """Puts all items into a Store and returns them as `finished` does."""
    store = Store(memory_bytes)
    for item in items:
        store.append(item)
    return store.finished()
