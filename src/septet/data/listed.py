"""Texts as running text, or as a list whose items are learned one by one."""

from collections import Counter
from typing import Any

from ..modalities.lists import is_list
from ..modalities.text import Text
from ..space import Refusal
from .dataset import Dataset, read

ITEMS = ("auto", "lines", "texts")


def read_texts(source: Any, items: str = "auto", seed: int = 0) -> Dataset:
    """The texts of a source: `items` is "texts", or "lines" where each line is an item of a list; "auto" looks which
    they are, and says so where they are a list."""
    if items not in ITEMS:
        raise Refusal(f"items={items}: expected {', '.join(ITEMS[:-1])} or {ITEMS[-1]}")
    dataset = read(source, Text(listed=items == "lines"), seed=seed)
    if items != "auto" or not is_list([dataset[i].datum for i in (*dataset.own, *dataset.validation)]):
        return dataset
    found = read(source, Text(listed=True), seed=seed)
    found.report.insert(1, "A list, by its many short lines: each is learned by itself; items=texts learns the whole.")
    return found


def as_often(dataset: Dataset) -> list[int]:
    """The training items, each as often as it stands in the data."""
    more = Counter(source for _, source in dataset.copies)
    return [i for i in dataset.training for _ in range(1 + more[dataset.sources[i]])]
