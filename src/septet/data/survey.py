"""Statistics of a data set: sizes, words, balance, dropped items and licences."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..conditioners.prompts import words_of
from ..contracts import Conditioner
from .dataset import Dataset
from .files import shown, walk

FREQUENT, RARE = 20, 20  # words that are listed
MOST_LABELS = 50  # most distinct prompts that count as labels
LICENCE = re.compile(r"(licen[cs]e|copying|notice|copyright)[^.]*(\.(txt|md|rst))?$", re.IGNORECASE)
LINE_BYTES = 4096
UNEVEN = 10  # ratio of the most frequent to the rarest label from which a set is unbalanced


def survey(dataset: Dataset) -> dict[str, Any]:
    """All statistics, as plain values."""
    return {
        "items": len(dataset),
        "training": len(dataset.own),
        "held_out": len(dataset.validation),
        "skipped": dataset.skipped,
        "exact_duplicates": [list(pair) for pair in dataset.copies],
        "near_duplicates": [[dataset.sources[i] for i in group] for group in dataset.twins],
        "sizes": {name: _spread(sizes) for name, sizes in dataset.extents.items() if sizes},
        "words": _words(dataset),
        "balance": balance(dataset),
    }


def _spread(sizes: list[float]) -> dict[str, float]:
    low, middle, high = np.quantile(sizes, (0, 0.5, 1)).tolist()
    return {"smallest": low, "median": middle, "largest": high}


def _words(dataset: Dataset) -> dict[str, Any] | None:
    """The number of prompts that contain each word; None if there are no words."""
    counts = Counter(word for prompt in dataset.captions for word in set(words_of(prompt)))
    if not counts:
        return None
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    once = [word for word, count in ordered if count == 1]
    return {"different": len(ordered), "frequent": ordered[:FREQUENT], "once": len(once), "of_these": once[:RARE]}


def balance(dataset: Dataset) -> dict[str, dict[str, int]]:
    """The number of items by value of each attribute, or by label if there are few distinct prompts."""
    counts = {name: Counter(v for v in values if v is not None) for name, values in labels(dataset).items()}
    return {name: dict(count.most_common()) for name, count in counts.items()}


def labels(dataset: Dataset) -> dict[str, list[str | None]]:
    """Each item's value of each attribute that has at most MOST_LABELS values and at least two items per value on
    average. Prompts without attributes are treated as one attribute, "label"."""
    captions = dataset.captions
    told = [prompt for prompt in captions if prompt]
    if any(isinstance(prompt, Mapping) for prompt in told):
        names = dict.fromkeys(name for prompt in told if isinstance(prompt, Mapping) for name in prompt)
        found = {n: [p.get(n) if isinstance(p, Mapping) else None for p in captions] for n in names}
    else:
        found = {"label": [prompt if isinstance(prompt, str) and prompt else None for prompt in captions]}
    return {n: v for n, v in found.items() if 1 < len(set(v) - {None}) <= min(MOST_LABELS, len(told) // 2)}


def licences(root: Path) -> list[dict[str, str]]:
    """Files below a folder that seem to be licences, each with its first line that is not empty."""
    found = []
    for path in walk(root) if root.is_dir() else ():
        if LICENCE.match(path.name):
            try:
                with open(path, "rb") as file:
                    lines = file.read(LINE_BYTES).decode("utf-8", "replace").splitlines()
            except OSError as error:
                lines = [f"cannot be read: {error.strerror}"]
            first = next((line.strip() for line in lines if line.strip()), "")
            found.append({"file": shown(path.relative_to(root)), "begins": shown(first[:80])})
    return found


def sentences(figures: dict[str, Any]) -> Iterator[str]:
    """Sentences about words and labels."""
    words = figures["words"]
    if words is not None:
        frequent = ", ".join(f"{word} ({count:,})" for word, count in words["frequent"][:6])
        yield f"{words['different']:,} distinct words in the captions, {words['once']:,} of them once: {frequent}."
    for name, counts in figures["balance"].items():
        most, least = next(iter(counts.items())), list(counts.items())[-1]
        told = f"{len(counts):,} values of {name}: {most[1]:,} of {most[0]!r} down to {least[1]:,} of {least[0]!r}"
        uneven = most[1] >= UNEVEN * least[1]
        yield told + ("; a model will generate the rare ones badly, and too rarely." if uneven else ".")


def unread(dataset: Dataset, conditioner: Conditioner) -> list[str]:
    """A sentence with the number of prompts that are longer than a model's limit; empty if there are none."""
    long = [prompt for prompt in conditioner.accepted(dataset.prompts) if conditioner.unread(prompt)]
    return [f"{len(long):,} prompts are longer than the model's limit; their ends are ignored."] if long else []
