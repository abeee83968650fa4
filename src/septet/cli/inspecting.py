"""septet audit FOLDER: what data hold, before anything is trained on them."""

import inspect
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .. import models, recipes
from ..audits import collection, page
from ..data.dataset import read
from ..data.files import kinds, listed
from ..space import Refusal
from . import RECIPES, cost, say
from .terminal import tell

ABOUT = re.compile(r"(readme|licen[cs]e|copying|notice|changelog)\b", re.IGNORECASE)


def examine(folder: Path, seed: int, out: Path | None) -> None:
    """Print what a folder holds, and write a page that shows it."""
    began = time.time()
    kind, modality = _kind(folder)
    tell(f"Reading the {kind} files of {folder} ...", error=True)
    dataset = read(folder, modality, seed=seed)
    lead, sections = collection.look(dataset, folder)
    for sentence in lead:
        tell(sentence)
    written = page.write(out or Path("made") / f"{folder.resolve().name}-audit", f"What {folder} holds", lead, sections)
    say(f"\nMade {written}.\nCost: {cost(began)}.", "train", kind, folder, "--budget", "20m")


def _kind(folder: Path) -> tuple[str, Any]:
    """The kind of content that most files of a folder are of, and its modality as the recipe for it has it; of mixed
    kinds, which others there are is said. Texts beside other files of their name are captions, and those about the
    folder are none of its data."""
    found, counts, classes = listed(folder), Counter[str](), {}
    for kind in RECIPES:
        classes[kind] = models.find_part(kind.capitalize())
        counts[kind] = sum(path.suffix.lower() in classes[kind].extensions for path in found)
    shown = {path.with_suffix("") for path in found if path.suffix.lower() not in classes["text"].extensions}
    texts = [path for path in found if path.suffix.lower() in classes["text"].extensions]
    counts["text"] -= sum(path.with_suffix("") in shown or ABOUT.match(path.name) is not None for path in texts)
    kind, count = counts.most_common(1)[0]
    if not count:
        raise Refusal(f"{folder} holds nothing that can be learned from ({kinds(found) or 'no files'}); give another")
    others = ", ".join(f"{n:,} {other} files" for other, n in counts.items() if n and other != kind)
    if others:
        tell(
            f"Besides {count:,} {kind} files there are {others}: a model is trained on one kind, so these are left out."
        )
    known, options = inspect.signature(classes[kind]).parameters, recipes.options(recipes.find(RECIPES[kind]))
    return kind, classes[kind](**{name: value for name, value in options.items() if name in known})
