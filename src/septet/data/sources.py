"""Sources of data: a folder, a file, a list, a (data, prompts) pair, or a `datasets.Dataset`."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..contracts import Modality, Prompt
from ..space import Refusal
from .captions import TABLES, TEXT_COLUMNS, Captions
from .files import kinds, listed, shown

NONE: Mapping[str, Modality] = {}
IMAGE_COLUMNS = ("image", "img", "picture", "png")
LABEL_COLUMNS = ("label", "labels", "class", "fine_label", "coarse_label")


@dataclass(frozen=True)
class Entry:
    """An item to read: a function that loads it, its prompt, and its name. Content in the prompt is data in memory, or
    the Path of a file."""

    load: Callable[[], Any]
    prompt: Prompt
    source: str


class Source:
    """Entries in order, and sentences about them, which are complete after the entries were iterated over."""

    def __init__(self, entries: Iterator[Entry], sentences: Callable[[], list[str]], name: str):
        self.entries, self.sentences, self.name = entries, sentences, name


def opened(source: Any, modality: Modality, captions: bool = True, contents: Mapping[str, Modality] = NONE) -> Source:
    """The Source for `source`; raises Refusal if it is none of the types above. `contents` are the names in prompts,
    and columns of tables, that hold data."""
    if isinstance(source, str | Path):
        return _files(Path(source), modality, captions, contents)
    if hasattr(source, "column_names"):
        return _table(source, modality, contents)
    prompts: Any = None
    if isinstance(source, tuple) and len(source) == 2 and _are_prompts(source[1]):
        source, prompts = source
    if not isinstance(source, list | tuple | np.ndarray):
        raise Refusal(
            f"data of type {type(source).__name__}: expected a path, a list, (data, prompts) or a datasets.Dataset"
        )
    if prompts is not None and len(prompts) != len(source):
        raise Refusal(f"{len(source):,} data and {len(prompts):,} prompts: give one prompt for each")
    told = [None] * len(source) if prompts is None else [_prompt(p, contents) for p in prompts]
    pairs = enumerate(zip(source, told, strict=True))
    entries = (Entry(lambda v=v: modality.take(v), p, str(i)) for i, (v, p) in pairs)
    return Source(entries, lambda: [f"{len(source):,} items were given."], "the given data")


def _are_prompts(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, list | tuple) and all(v is None or isinstance(v, str | dict | int) for v in value[:10])


def _prompt(value: Any, contents: Mapping[str, Modality] = NONE) -> Prompt:
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, dict):
        return {str(k): v if k in contents else str(v) for k, v in value.items() if v is not None} or None
    if isinstance(value, int | float | np.generic):
        return str(value)
    raise Refusal(f"a prompt of type {type(value).__name__}: expected a string, a dict of strings, or None")


def _files(root: Path, modality: Modality, captions: bool, contents: Mapping[str, Modality]) -> Source:
    found = listed(root, modality.tracked)
    name = shown(root)
    if not root.is_dir():
        one = Entry(lambda: modality.read(root), None, shown(root.name))
        return Source(iter([one]), lambda: [f"{name}: one file."], name)
    told = Captions(root, contents)
    served = told.served(p for p in found if p.name in TABLES) if contents else set()
    paths = [p for p in found if p.suffix.lower() in modality.extensions and p.name not in TABLES and p not in served]
    if not found:
        raise Refusal(f"{name} is empty; put {modality.name} files ({', '.join(modality.extensions[:6])}) into it")
    if not paths:
        raise Refusal(
            f"{name} holds no {modality.name} files ({', '.join(modality.extensions[:6])}), only {kinds(found)}; "
            "give another folder or another kind of content"
        )
    say = captions and modality.captioned

    def entries() -> Iterator[Entry]:
        for path in paths:
            prompt = told.of(path) if say else None
            if files := told.files.get(path):
                words = {"text": prompt} if isinstance(prompt, str) else prompt or {}
                prompt = {**words, **files}
            yield Entry(lambda path=path: modality.read(path), prompt, shown(path.relative_to(root)))

    def sentences() -> list[str]:
        taken = set(paths) | served
        rest = [path for path in found if path not in taken]
        left = f"; other files are not {modality.name} files: {kinds(rest)}" if rest else ""
        said = [f"{name}: {len(paths):,} {modality.name} files ({kinds(paths)}){left}."]
        given = Counter(n for own in told.files.values() for n in own)
        said += [f"Prompts: {count:,} with a file as {n}." for n, count in sorted(given.items())]
        return [*said, *told.remarks, told.sentence()] if say else said

    return Source(entries(), sentences, name)


def _column(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _table(source: Any, modality: Modality, contents: Mapping[str, Modality]) -> Source:
    names = source.column_names
    if isinstance(names, dict):
        raise Refusal(f"the data have splits ({', '.join(names)}); give one, as data[{next(iter(names), 'train')!r}]")
    names = list(names or [])
    wanted = (modality.name, *IMAGE_COLUMNS) if modality.captioned else TEXT_COLUMNS
    column = _column(names, wanted)
    if column is None:
        raise Refusal(f"columns {', '.join(names)}: expected one with {modality.name}, named {' or '.join(wanted)}")
    told = _column(names, (*TEXT_COLUMNS, *LABEL_COLUMNS)) if modality.captioned else None
    feature = (getattr(source, "features", None) or {}).get(told)

    def entries() -> Iterator[Entry]:
        rows = iter(source)
        index = 0
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            label = row[told] if told else None
            if label is not None and feature is not None and hasattr(feature, "int2str"):
                label = feature.int2str(label)
            prompt, own = _prompt(label), {n: row[n] for n in contents if row.get(n) is not None}
            prompt = {"text": prompt, **own} if prompt and own else prompt or own or None
            yield Entry(lambda row=row: modality.take(row[column]), prompt, str(index))
            index += 1

    captions = f', captions from "{told}"' if told else ", without captions"
    return Source(entries(), lambda: [f'A table: {modality.name} from the column "{column}"{captions}.'], "the table")
