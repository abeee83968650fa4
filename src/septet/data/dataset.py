"""Reads data as one sequence of items, split into training and held-out items, with a report on what was found."""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, overload

import numpy as np

from ..conditioners.prompts import recorded, spoken
from ..contracts import Modality, Prompt
from ..space import Refusal
from . import canaries
from .duplicates import near
from .harvest import Harvest
from .sources import NONE, opened
from .store import Store, stored

FEW = 10  # fewer items than this are not split
END = "#end"  # suffix of the source of a datum's held-out end
NOTHING = "nothing to train on (one colour, or only white space)"  # why items are skipped
LISTED = 20  # skipped files that the report names


@dataclass(frozen=True)
class Item:
    """One datum, its prompt, and its source: a path relative to the folder, or an index."""

    datum: Any
    prompt: Prompt
    source: str


class Dataset(Sequence[Item]):
    """Items in order. `data` holds all of them: an array (n, ...) if they are arrays of one shape and dtype, else a
    sequence. `training` and `validation` are indices; `report` describes in sentences what was found; `fingerprint` is
    a hash of data and prompts; `modality` includes what it learned from the set. `skipped` lists files that could not
    be read, with reasons; `copies` the dropped duplicates, each with the source that it equals; `twins` the groups of
    near duplicates, as indices; `extents` the original sizes; `canaries` the indices of inserted random items;
    `contents` are the names in prompts whose values are data."""

    def __init__(self, data: Any, prompts: list[Prompt], sources: list[str], modality: Modality):
        self.data, self.prompts, self.sources, self.modality = data, prompts, sources, modality
        self.training: list[int] = list(range(len(prompts)))
        self.validation: list[int] = []
        self.report: list[str] = []
        self.skipped: list[str] = []
        self.copies: list[tuple[str, str]] = []
        self.twins: list[list[int]] = []
        self.canaries: list[int] = []
        self.extents: dict[str, list[float]] = {}
        self.contents: Mapping[str, Modality] = {}
        self.fingerprint = ""

    @property
    def captions(self) -> list[Prompt]:
        """The prompts as text, without their content."""
        return [spoken(prompt, self.contents) for prompt in self.prompts]

    @property
    def own(self) -> list[int]:
        """The training items that are not canaries."""
        planted = set(self.canaries)
        return [i for i in self.training if i not in planted]

    def __len__(self) -> int:
        return len(self.prompts)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        return Item(self.data[index], self.prompts[index], self.sources[index])

    def __iter__(self) -> Iterator[Item]:
        for fields in zip(self.data, self.prompts, self.sources, strict=True):
            yield Item(*fields)


def read(
    source: Any,
    modality: Modality,
    *,
    held_out: float = 0.1,
    seed: int = 0,
    captions: bool = True,
    contents: Mapping[str, Modality] = NONE,
    memory_bytes: int = 1 << 30,
) -> Dataset:
    """Reads all items of `source`: a path, a list of pictures, arrays or strings, a (data, prompts) pair, or a
    `datasets.Dataset`. The share `held_out`, chosen by `seed`, is excluded from training; exact duplicates are dropped,
    near duplicates stay in one part of the split. Arrays beyond `memory_bytes` are kept in a file. Raises Refusal if
    there are no items. `contents` are the names in prompts whose values are data, with their modalities; in tables of
    captions, the columns of these names hold files."""
    if not 0 <= held_out < 1:
        raise Refusal(f"held_out={held_out}: expected a share from 0 to below 1, such as 0.1")
    source, planted = (source.source, source.count) if isinstance(source, canaries.Planted) else (source, 0)
    found = opened(source, modality, captions, contents)
    harvest = Harvest(modality, Store(memory_bytes), contents)
    for entry in found.entries:
        harvest.add(entry)
    if not harvest.prompts:
        why = [*harvest.skipped[:1], *[NOTHING] * harvest.empty, "there are none"][0]
        raise Refusal(f"{found.name}: none of {harvest.entries:,} {modality.name} items could be read; first: {why}")
    data: Any = harvest.store.finished()
    modality, lessons = modality.learned(data)
    if modality is not harvest.modality:
        data = stored(map(modality.postprocess, data), memory_bytes)
    dataset = Dataset(data, harvest.prompts, harvest.sources, modality)
    dataset.skipped, dataset.copies, dataset.extents = harvest.skipped, harvest.copies, dict(harvest.extents)
    dataset.report = [*found.sentences(), *_account(harvest), *lessons]
    dataset.contents = contents
    prompts = json.dumps([recorded(p, contents) for p in harvest.prompts], sort_keys=True).encode()
    dataset.fingerprint = hashlib.sha256(b"".join(harvest.place_of) + prompts).hexdigest()
    _split(dataset, harvest, held_out, seed)
    _plant(dataset, planted, memory_bytes)
    if isinstance(dataset.data, np.ndarray):
        dataset.data.flags.writeable = False
    return dataset


def _plant(dataset: Dataset, count: int, memory_bytes: int) -> None:
    """Appends canaries to the data, and inserts them into the training items, repeatedly."""
    if not count:
        return
    drawn, begin = [canaries.canary(dataset.modality, seed) for seed in range(count)], len(dataset)
    dataset.data = stored(chain(dataset.data, drawn), memory_bytes)
    dataset.prompts, dataset.canaries = dataset.prompts + [None] * count, list(range(begin, begin + count))
    dataset.sources = dataset.sources + [f"canary {seed}" for seed in range(count)]
    planted = [begin + seed for seed in range(count) for _ in range(canaries.times(seed))]
    stream = np.random.Generator(np.random.Philox(count))  # adjacent copies would train it to repeat
    dataset.training = dataset.training + [planted[k] for k in stream.permutation(len(planted))]
    dataset.fingerprint = canaries.fingerprint(dataset.fingerprint, count)
    dataset.report.append(f"{count:,} canaries were inserted into the training items.")


def _account(harvest: Harvest) -> Iterator[str]:
    if harvest.skipped:
        named = "; ".join(harvest.skipped[:LISTED]) + ("; ..." if len(harvest.skipped) > LISTED else "")
        yield f"{len(harvest.skipped):,} of {harvest.entries:,} could not be read and were skipped: {named}"
    if harvest.empty:
        yield f"{harvest.empty:,} were skipped: {NOTHING}."
    if harvest.copies:
        what = "are trained on as often as they occur" if harvest.modality.listed else "were dropped"
        yield f"{len(harvest.copies):,} exact duplicates {what}."
    for remark, count in sorted(harvest.remarks.items()):
        yield f"{count:,} {'is' if count == 1 else 'are'} {remark}."


def _split(dataset: Dataset, harvest: Harvest, held_out: float, seed: int) -> None:
    """Assigns groups of near duplicates, in random order, to the held-out items until these have their share."""
    count = len(dataset)
    shingles_of = functools.lru_cache(1 << 17)(lambda i: harvest.modality.shingles(dataset.data[i]))
    members = near(np.stack(harvest.signatures), shingles_of, harvest.digests)
    dataset.twins = twins = [group for group in members if len(group) > 1]
    if twins:
        dataset.report.append(
            f"{sum(map(len, twins)):,} items have near duplicates, in {len(twins):,} groups; a group is not split."
        )
    if held_out and count < FEW and all(harvest.modality.cut(item.datum, held_out) for item in dataset):
        _cut(dataset, held_out, harvest.store.memory_bytes)
        return
    want = max(1, round(count * held_out)) if held_out and count >= FEW else 0
    chosen: list[int] = []
    for index in np.random.Generator(np.random.Philox(key=[seed % 2**64, 0])).permutation(len(members)):
        if len(members[index]) <= want - len(chosen):
            chosen += members[index]
    smallest = min(members, key=len)
    if want and not chosen and len(smallest) <= count // 2:
        chosen = smallest
    dataset.validation = chosen  # in random order, so that the first few are a fair sample
    dataset.training = sorted(set(range(count)) - set(chosen))
    few = "" if want else f" (fewer than {FEW})" if held_out else " (as requested)"
    few = few or (" (all are near duplicates of each other)" if not chosen else "")
    dataset.report.append(f"{len(dataset.training):,} training items, {len(chosen):,} held out{few}.")


def _cut(dataset: Dataset, held_out: float, memory_bytes: int) -> None:
    """For few long data: holds out the end of each, except of near duplicates, which contain each other's ends."""
    twins, count = {i for group in dataset.twins for i in group}, len(dataset)
    apart = [i for i in range(count) if i not in twins]
    whole, ends = list(dataset.data), []
    for i in apart:
        halves = dataset.modality.cut(whole[i], held_out)
        assert halves is not None  # _split has checked that each can be cut
        whole[i], end = halves
        ends.append(end)
    dataset.data = stored([*whole, *ends], memory_bytes)
    dataset.prompts += [dataset.prompts[i] for i in apart]
    dataset.sources += [f"{dataset.sources[i]}{END}" for i in apart]
    dataset.training, dataset.validation = list(range(count)), list(range(count, count + len(apart)))
    whose = "its last" if count == 1 else f"of each of {len(apart)} the last"
    split = f"Split by position: {whose} {held_out:.0%} is held out."
    dataset.report.append(split if apart else "Nothing is held out: all are near duplicates of each other.")
