"""Arrays of any dtype and shape, kept in memory or on the disk, and data sets of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from septet.contracts import Modality
from septet.data.canaries import Planted
from septet.data.dataset import read
from septet.data.store import Ragged, stored

MEMORY = (1 << 20, 0)  # in memory, and on the disk
ARRAYS = {
    "floats": [np.linspace(0, n, 5) for n in range(6)],
    "bools": [np.arange(4) > n for n in range(5)],
    "pictures": [np.full((2, 3, 4), n, np.uint8) for n in range(5)],
    "lengths": [np.arange(n, dtype=np.float32) for n in (3, 1, 0, 7)],
    "dtypes": [np.array([n, 100], dtype) for n, dtype in enumerate((np.int16, np.uint8, np.float64, bool, np.int16))],
    "no axes": [np.array(1.5), np.array(2.5)],
}


@pytest.mark.parametrize("memory_bytes", MEMORY)
@pytest.mark.parametrize("name", ARRAYS)
def test_what_is_kept_comes_back(name: str, memory_bytes: int):
    arrays = ARRAYS[name]
    kept = stored(arrays, memory_bytes)
    alike = len({(a.dtype, a.shape) for a in arrays}) == 1
    assert isinstance(kept, np.ndarray if alike else Ragged) and len(kept) == len(arrays)
    for found, datum in zip(kept, arrays, strict=True):
        assert found.dtype == datum.dtype and found.shape == datum.shape and (found == datum).all()
    assert (np.asarray(kept[-1]) == arrays[-1]).all() and len(kept[:2]) == 2
    memory = kept if isinstance(kept, np.ndarray) else kept.memory
    assert isinstance(memory, np.memmap) == (memory_bytes == 0)


def test_arrays_of_another_byte_order_become_this_machines():
    (kept, other) = stored([np.arange(5, dtype=">i4"), np.arange(5, dtype="<i4")], 1 << 20)
    assert torch.equal(torch.from_numpy(kept.copy()), torch.from_numpy(other.copy()))


def test_data_that_are_no_arrays_stay_a_list():
    pairs = [{"text": str(n), "picture": np.full(n, n)} for n in range(4)]
    assert stored(pairs, 0) == pairs and stored(["a", "b"], 0) == ["a", "b"] and stored([], 0) == []
    mixed = stored([np.arange(3), "a", np.arange(2), None], 0)
    assert isinstance(mixed, list) and mixed[1] == "a" and mixed[3] is None
    assert [a.tolist() for a in (mixed[0], mixed[2])] == [[0, 1, 2], [0, 1]]


class Tones(Modality):
    """float32 (n, 2) sound of any length."""

    name, extensions, suffixes = "tones", (".npy",), (".npy",)

    def __init__(self, peak: float | None = None):
        self.peak = peak

    def read(self, path: Path) -> np.ndarray:
        return np.load(path)

    def write(self, datum: Any, path: Path, record: dict[str, Any]) -> None:
        np.save(path, datum)

    def preview(self, datum: Any, size: int = 128) -> Any: ...

    def features(self, data: Sequence[Any]) -> torch.Tensor:
        return torch.stack([torch.as_tensor(datum.std(0)) for datum in data])

    def canary(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).random((11, 2), np.float32)

    def cut(self, datum: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray] | None:
        at = round(len(datum) * (1 - share))
        return datum[:at], datum[at:]

    def learned(self, data: Sequence[np.ndarray]) -> tuple["Tones", list[str]]:
        return Tones(float(max(np.abs(datum).max() for datum in data))), []

    def postprocess(self, datum: np.ndarray) -> np.ndarray:
        return datum if self.peak is None else (datum / self.peak).astype(np.float16)


def tones(count: int, same: bool) -> list[np.ndarray]:
    lengths = [50] * count if same else range(20, 20 + count)
    return [np.random.default_rng(n).normal(size=(length, 2)).astype(np.float32) for n, length in enumerate(lengths)]


@pytest.mark.parametrize("memory_bytes", MEMORY)
@pytest.mark.parametrize("same", [True, False])
def test_arrays_of_any_length_are_finished_and_canaries_join_them(same: bool, memory_bytes: int):
    given = tones(20, same)
    dataset = read(Planted(given, 3), Tones(), memory_bytes=memory_bytes)
    assert len(dataset) == 23 and dataset.canaries == [20, 21, 22] and isinstance(dataset.data, Ragged)
    peak = max(np.abs(datum).max() for datum in given)
    for item, datum in zip(dataset, given, strict=False):
        assert item.datum.dtype == np.float16 and (item.datum == (datum / peak).astype(np.float16)).all()
        assert not item.datum.flags.writeable
    assert np.shape(dataset.data[22]) == (11, 2) and len(dataset.validation) == 2


@pytest.mark.parametrize("same", [True, False])
def test_the_ends_of_few_long_arrays_are_held_out(same: bool):
    given = tones(3, same)
    dataset = read(given, Tones())
    assert dataset.training == [0, 1, 2] and dataset.validation == [3, 4, 5]
    for n, datum in enumerate(given):
        whole = np.concatenate([dataset.data[n], dataset.data[3 + n]])
        assert np.allclose(whole, datum / np.abs(np.concatenate(given)).max(), atol=1e-3)
