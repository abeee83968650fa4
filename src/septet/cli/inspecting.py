"""septet audit FOLDER: what data contain, before a model is trained on them."""

import time
from pathlib import Path

from .. import recipes
from ..audits import collection, page
from ..data.dataset import read
from ..data.listed import read_texts
from ..modalities.text import Text
from .kinds import checked, counted
from .terminal import cost, say, tell


def examine(folder: Path, kind: str | None, seed: int, out: Path | None) -> None:
    """Prints what a folder contains, and writes a page that shows it."""
    began = time.time()
    kind = kind or _kind(folder)
    checked(kind)
    modality = recipes.default_modality(kind)
    tell(f"Reading the {kind} files of {folder} ...", error=True)
    dataset = read_texts(folder, seed=seed) if kind == Text.name else read(folder, modality, seed=seed)
    lead, sections = collection.look(dataset, folder)
    for sentence in lead:
        tell(sentence)
    written = page.write(out or Path("made") / f"{folder.resolve().name}-audit", f"What {folder} holds", lead, sections)
    say(f"\nMade {written}.\nCost: {cost(began)}.", "train", kind, folder, "--budget", "20m")


def _kind(folder: Path) -> str:
    """The most frequent kind of content in a folder; prints which other kinds there are."""
    counts = counted(folder)
    kind = max(counts, key=lambda kind: counts[kind])
    others = ", ".join(f"{n:,} {other} files" for other, n in counts.items() if other != kind)
    if others:
        left = "a model is trained on one kind, so these are skipped"
        tell(f"Besides {counts[kind]:,} {kind} files there are {others}: {left}.")
    return kind
