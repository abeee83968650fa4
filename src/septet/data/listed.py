"""Reads texts as running text, or as a list whose lines are separate items."""

from collections import Counter
from typing import Any

from ..modalities.lists import is_list
from ..modalities.text import Text
from ..space import Refusal
from .dataset import Dataset, read

ITEMS = ("auto", "lines", "texts")


def read_texts(source: Any, items: str = "auto", seed: int = 0) -> Dataset:
    """Reads the texts of a source. `items` is "texts", "lines" (each line is an item of a list), or "auto", which
    detects a list and adds a sentence about it to the report."""
    if items not in ITEMS:
        raise Refusal(f"items={items}: expected {', '.join(ITEMS[:-1])} or {ITEMS[-1]}")
    dataset = read(source, Text(listed=items == "lines"), seed=seed)
    if items != "auto" or not is_list([dataset[i].datum for i in (*dataset.own, *dataset.validation)]):
        return dataset
    found = read(source, Text(listed=True), seed=seed)
    found.report.insert(1, "Read as a list, for its many short lines: each is an item; items=texts reads running text.")
    return found


def as_often(dataset: Dataset) -> list[int]:
    """The training items, each as often as it occurs in the data."""
    more = Counter(source for _, source in dataset.copies)
    return [i for i in dataset.training for _ in range(1 + more[dataset.sources[i]])]
