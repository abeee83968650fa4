"""What a model was trained on: its run, its folder of data, the same split of them."""

import inspect
import os
from pathlib import Path
from typing import Any

from .. import recipes
from ..contracts import Modality
from ..data import canaries
from ..data.dataset import Dataset, read
from ..folders import whole
from ..generator import Generator
from ..space import Refusal
from .terminal import tell

RUN_BYTES = 1 << 20


def run_of(folder: Path) -> dict[str, Any]:
    """The facts of the run that trained the model; none where they were not kept."""
    try:
        found = whole.read_json(folder / "run.json", RUN_BYTES)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def source_of(run: dict[str, Any], given: Path | None, model: str) -> Path:
    """The folder that a model was trained on: the one given, else the one recorded, if it is still there."""
    if given is not None:
        return given
    if not run.get("source"):
        raise Refusal(f"{model} does not tell what folder it was trained on; give it with --data DIR")
    source = Path(str(run["source"]))
    if not os.path.exists(source):  # unlike Path.exists, of a name with a zero in it as well
        raise Refusal(f"{source}, on which {model} was trained, is not there; give its place with --data DIR")
    return source


def data_of(model: Generator, run: dict[str, Any], source: Path, named: bool) -> Dataset:
    """A model's data, split as they were when it was trained. Where they are no longer the same, says so of a folder
    that the user named, and refuses any other: who made the model may have recorded one that is none of its data."""
    tell(f"Reading {source} ...", error=True)
    recorded = run.get("seed")
    seed = recorded if isinstance(recorded, int) else 0
    for modality in dict.fromkeys((_begun(model, run), model.modality)):
        dataset = read(source, modality, seed=seed, contents=model.conditioner.contents)
        if same_data(run, dataset):
            return dataset
    if not named:
        told = f"{source} does not hold the very data that {model.name} was trained on (another fingerprint)"
        raise Refusal(f"{told}; if it is to be taken for them, give it with --data {source}")
    tell("These are not the very data it was trained on (another fingerprint): what counts as held out here may")
    tell("have been trained on, and the other way round.")
    return dataset


def _begun(model: Generator, run: dict[str, Any]) -> Modality:
    """The modality that drawings in one colour were read as: what it learned of them reads otherwise."""
    kind = type(model.modality)
    if run.get("started_from") is not None:
        return model.modality
    known = inspect.signature(kind).parameters
    try:
        options = recipes.options(recipes.find(str(run.get("recipe")))) | dict(run.get("options") or {})
        return kind(**{name: value for name, value in options.items() if name in known})
    except (Refusal, TypeError, ValueError):  # another's recipe, or another's record
        return model.modality


def same_data(run: dict[str, Any], dataset: Dataset) -> bool:
    """Whether these are the very data of a training run, apart from what was planted among them."""
    return run.get("fingerprint") == canaries.fingerprint(dataset.fingerprint, canaries.planted_in(run))
