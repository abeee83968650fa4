"""The training data of a model: the facts of its run, its data folder, the same split."""

import inspect
import os
from pathlib import Path
from typing import Any

from .. import recipes
from ..contracts import Modality
from ..data import canaries
from ..data.dataset import Dataset, read
from ..generator import Generator
from ..space import Refusal
from ..storage import whole
from .terminal import tell

RUN_BYTES = 1 << 20


def run_of(folder: Path) -> dict[str, Any]:
    """The facts in run.json of the run that trained the model; empty if there is none."""
    try:
        found = whole.read_json(folder / "run.json", RUN_BYTES)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def source_of(run: dict[str, Any], given: Path | None, model: str) -> Path:
    """The data folder of a model: the given one, else the recorded one. Raises Refusal if that is unknown or gone."""
    if given is not None:
        return given
    if not run.get("source"):
        raise Refusal(f"{model} does not record the folder of its training data; give it with --data DIR")
    source = Path(str(run["source"]))
    if not os.path.exists(source):  # unlike Path.exists, accepts a name with a null byte
        raise Refusal(f"{source}, the training data of {model}, does not exist; give their folder with --data DIR")
    return source


def data_of(model: Generator, run: dict[str, Any], source: Path, named: bool) -> Dataset:
    """A model's data, split as in training. If the data differ from those of the run, warns about a folder that the
    user gave, and raises Refusal for a recorded one, which an untrusted model may set to any folder."""
    tell(f"Reading {source} ...", error=True)
    recorded = run.get("seed")
    seed = recorded if isinstance(recorded, int) else 0
    for modality in dict.fromkeys((_begun(model, run), model.modality)):
        dataset = read(source, modality, seed=seed, contents=model.conditioner.contents)
        if same_data(run, dataset):
            return dataset
    if not named:
        told = f"the data in {source} differ from the training data of {model.name} (another fingerprint)"
        raise Refusal(f"{told}; to use them anyway, add --data {source}")
    tell("These data differ from the training data (another fingerprint): items that are held out here may have been")
    tell("trained on, and vice versa.")
    return dataset


def _begun(model: Generator, run: dict[str, Any]) -> Modality:
    """The modality as training began, before it learned from the data (a palette), which changes how it reads."""
    kind = type(model.modality)
    if run.get("started_from") is not None:
        return model.modality
    known = inspect.signature(kind).parameters
    try:
        options = recipes.options(recipes.find(str(run.get("recipe")))) | dict(run.get("options") or {})
        return kind(**{name: value for name, value in options.items() if name in known})
    except (Refusal, TypeError, ValueError):  # an unknown recipe, or an invalid record
        return model.modality


def same_data(run: dict[str, Any], dataset: Dataset) -> bool:
    """Whether these are the data of a training run, apart from canaries."""
    return run.get("fingerprint") == canaries.fingerprint(dataset.fingerprint, canaries.planted_in(run))
