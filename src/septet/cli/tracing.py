"""septet audit FILE and septet check FILE: where an output came from."""

import re
import time
from pathlib import Path
from typing import Any

from .. import models, recipes
from ..audits import origin, page, prompted, provenance
from ..devices import device_of
from ..folders.records import read_record
from ..folders.references import is_pickle, starters
from ..originality import evidence
from ..space import Refusal
from .prompts import parted
from .terminal import cost, say, tell
from .trained_on import data_of, run_of, source_of

NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def trace(
    path: Path, reference: str | None, data: Path | None, influence: bool, out: Path | None, given: list[str]
) -> None:
    """Print where a generated file came from, and write a page that shows it. `given` are the files of its prompt, as
    name=@FILE."""
    began = time.time()
    record = _record(path)
    if record is None and (is_pickle(path) or path.suffix in (".safetensors", ".gguf")):
        models.resolve(path)  # which tells why that is no model
    if record is None:
        raise Refusal(f"{path} holds no record of septet; that proves nothing, since records are easily removed")
    provenance.checked(record, path)
    folder = _folder(record, reference, path)
    on_gpu = str(record["settings"].get("device", "cpu")) != "cpu"
    model, run = models.load(folder, device=device_of("auto" if on_gpu else "cpu")), run_of(folder)
    source = data or (Path(str(run["source"])) if run.get("source") else None)
    dataset = None
    if influence:
        dataset = data_of(model, run, source_of(run, data, record["model"]), named=data is not None)
    kept = evidence.load(folder, model.modality)
    prompt = prompted.prompt_of(record, model, parted(given, model)[0])
    subject = origin.Subject(path, record, model, kept, source, run.get("started_from"), dataset, prompt)
    lead, sections = origin.look(subject)
    for sentence in lead:
        tell(sentence)
    target = out or path.with_name(f"{path.stem}-audit")
    written = page.write(target, f"Where did {path.name} come from?", lead, sections)
    say(f"\nMade {written}.\nCost: {cost(began)}.", "show", folder)


def _record(path: Path) -> dict[str, Any] | None:
    """The record of septet in or beside a file, as it is kept in usual formats, or as a kind of content that is written
    in such files keeps it."""
    found = read_record(path)
    for kind, known in recipes.kinds().items() if found is None else ():
        if path.suffix.lower() in known.modality.suffixes:
            found = found or recipes.default_modality(kind).record(path)
    return found if found and "septet" in found else None


def _folder(record: dict[str, Any], reference: str | None, path: Path) -> Path:
    """The folder of the very model that a record names."""
    name, digest = record["model"], record["model_sha256"]
    if reference is not None:
        folder = models.resolve(reference)
        if models.digest(folder) != digest:
            raise Refusal(f"{reference} is not the model that drew {path}: its record says {name[:80]} ({digest[:16]})")
        return folder
    near = [Path(name), Path("models") / name] if NAME.fullmatch(name) else []
    folders = [models.resolve(name)] if name in starters() else []
    folders += [folder for folder in near if (folder / models.CONFIG).is_file()]
    same = [folder for folder in folders if models.digest(folder) == digest]
    if same:
        return same[0]
    where = f"{folders[0]} is another version of it" if folders else "it is not here"
    raise Refusal(f"{path} was drawn by the model {name[:80]!r} ({digest[:16]}); {where}: give its folder with --model")


def check(path: Path) -> None:
    """Print what wrote a file, by its record."""
    if not path.is_file():
        raise Refusal(f"{path}: no such file; check the path")
    record = _record(path)
    if record is None:
        say(f"{path} holds no record of septet. That proves nothing: records are easily removed.")
        return
    provenance.checked(record, path)
    say(origin.written(record))
    if told := prompted.missing(record, None):
        tell(told)
    tell("A record is easily changed: drawing it again tells whether it is true.")
    say("", "audit", path)
