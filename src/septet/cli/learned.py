"""What a model was trained on: its run, its folder of data, the same split of them."""

from pathlib import Path
from typing import Any

from .. import folders
from ..data import canaries
from ..data.dataset import Dataset, read
from ..generator import Generator
from ..space import Refusal
from .terminal import tell

RUN_BYTES = 1 << 20


def run_of(folder: Path) -> dict[str, Any]:
    """The facts of the run that trained the model; none where they were not kept."""
    try:
        found = folders.read_json(folder / "run.json", RUN_BYTES)
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
    if not source.exists():
        raise Refusal(f"{source}, on which {model} was trained, is not there; give its place with --data DIR")
    return source


def data_of(model: Generator, run: dict[str, Any], source: Path) -> Dataset:
    """A model's data, split as they were when it was trained; says so where they are no longer the same."""
    tell(f"Reading {source} ...", error=True)
    dataset = read(source, model.modality, seed=int(run.get("seed") or 0))
    if not same_data(run, dataset):
        tell("These are not the very data it was trained on (another fingerprint): what counts as held out here may")
        tell("have been trained on, and the other way round.")
    return dataset


def same_data(run: dict[str, Any], dataset: Dataset) -> bool:
    """Whether these are the very data of a training run, apart from what was planted among them."""
    return run.get("fingerprint") == canaries.fingerprint(dataset.fingerprint, canaries.planted_in(run))
