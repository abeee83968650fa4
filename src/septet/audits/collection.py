"""The audit page of a folder of data: its content, its problems, and what is rare in it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import recipes
from ..conditioners.prompts import spoken
from ..data import survey
from ..data.dataset import Dataset
from .page import Section, item

SHOWN = 24  # random items
PAIRS = 12  # duplicates and groups of near duplicates that are shown
MEMBERS = 6  # of a group
LISTED = 100  # files that could not be read


def look(dataset: Dataset, source: Path) -> tuple[list[str], list[Section]]:
    """The introduction of the page, in sentences, and its sections."""
    figures, licences = survey.survey(dataset), survey.licences(source)
    lead = [*dataset.report, *survey.sentences(figures), recipes.advised(dataset), _licensed(licences)]
    sections = [_sample(dataset, source, figures["sizes"])]
    sections += _words(figures["words"])
    sections += _balance(figures["balance"])
    sections += _duplicates(dataset, source, figures)
    if dataset.skipped:
        sentences = [f"{len(dataset.skipped):,} could not be read:", *dataset.skipped[:LISTED]]
        sections.append(Section("skipped", "Files that could not be read", sentences, figures=dataset.skipped))
    sections.append(Section("licences", "Licences", [_licensed(licences)], figures=licences))
    return [sentence for sentence in lead if sentence], sections


def _licensed(found: list[dict[str, str]]) -> str:
    if not found:
        return "No licence file found in the folder: make sure that you may train on these data."
    named = "; ".join(f"{entry['file']} ({entry['begins']})" for entry in found[:5])
    return f"Licence files: {named}{'; ...' if len(found) > 5 else ''}. Check whether they allow training."


def _sample(dataset: Dataset, source: Path, sizes: dict[str, dict[str, float]]) -> Section:
    chosen = np.random.Generator(np.random.Philox(0)).permutation(len(dataset))[:SHOWN]
    tiles = [item(dataset.modality, source, dataset.sources[i], str(_caption(dataset, i))) for i in chosen]
    sentences = [
        f"{name.capitalize()}: {spread['smallest']:,.0f} to {spread['largest']:,.0f}, half of them up to "
        f"{spread['median']:,.0f}."
        for name, spread in sizes.items()
    ]
    return Section("items", "Random items", sentences, tiles, figures={"sizes": sizes} if sizes else {})


def _caption(dataset: Dataset, index: int) -> str:
    prompt = spoken(dataset.prompts[index], dataset.contents)
    return (
        ", ".join(f"{k}={v}" for k, v in prompt.items())
        if isinstance(prompt, Mapping)
        else prompt or dataset.sources[index]
    )


def _words(words: dict[str, Any] | None) -> Iterator[Section]:
    if words is not None:
        most = words["frequent"][0][1]
        bars = [(word, count / most, f"{count:,}") for word, count in words["frequent"]]
        once = f"Words that occur once, which no model can learn: {', '.join(words['of_these'])}"
        sentences = [once + (", ..." if words["once"] > len(words["of_these"]) else ".")] if words["once"] else []
        yield Section("words", "Words of the captions", sentences, bars=bars, figures=words)


def _balance(counts_of: dict[str, dict[str, int]]) -> Iterator[Section]:
    for name, counts in counts_of.items():
        most = max(counts.values())
        bars = [(value, count / most, f"{count:,}") for value, count in counts.items()]
        yield Section(f"balance_{name}", f"Items by {name}", bars=bars, figures=counts)


def _duplicates(dataset: Dataset, source: Path, figures: dict[str, Any]) -> Iterator[Section]:
    if dataset.copies:
        tiles = [item(dataset.modality, source, kept, f"{kept} = {copy}") for copy, kept in dataset.copies[:PAIRS]]
        sentences = [f"{len(dataset.copies):,} were dropped, since models memorise repeated items."]
        yield Section("copies", "Exact duplicates", sentences, tiles, figures=figures["exact_duplicates"])
    if dataset.twins:
        groups = [[dataset.sources[i] for i in group[:MEMBERS]] for group in dataset.twins[:PAIRS]]
        tiles = [
            item(dataset.modality, source, s, f"group {n}: {s}") for n, group in enumerate(groups, 1) for s in group
        ]
        sentences = [f"{len(dataset.twins):,} groups. Each group is kept whole, in training or in validation."]
        yield Section("twins", "Near duplicates", sentences, tiles, figures=figures["near_duplicates"])
