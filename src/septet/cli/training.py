"""septet train."""

import math
import os
import shlex
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from .. import models, openweights, recipes, runs
from ..data.files import listed, shown
from ..fitting.pace import process_started
from ..generator import Generator
from ..part import describe
from ..runs import resuming
from ..space import Refusal
from . import kinds
from .terminal import cost, live, say, tell

LOOKED_AT = 24  # files that are read to choose between starters
UNSHAPING = {"batch", "rate", "average"}  # options that do not change the shape of the model


@dataclass(frozen=True)
class TrainCommand:
    """The arguments of the command."""

    kind: str
    source: Path
    options: list[str]
    recipe: str | None
    start: str | None
    budget: str | None
    steps: int | None
    seed: int | None
    out: Path | None
    resume: bool
    canaries: int | None
    keep: str | None
    evidence: bool | None
    device: str


def named(first: str, second: Path | None, options: list[str], recipe: str | None) -> tuple[str, Path, list[str]]:
    """The kind, source and options of a command. If the kind is omitted, the first word is the source, and the kind
    follows from the recipe or from the files."""
    if second is not None and ("=" not in str(second) or os.path.exists(second)):
        return first, second, options
    options = options if second is None else [str(second), *options]
    if first in recipes.kinds() and not os.path.exists(first):
        raise Refusal(f"train {first}: the files are missing; use septet train {first} FOLDER")
    source, whole = Path(first), (recipe or "").partition(",")[0].strip()
    if whole in recipes.names():
        return recipes.kind_of(whole), source, options
    kind = kinds.kind_of(source)
    say(f"{shown(source)} is read as {kind}, as with septet train {kind} {shlex.quote(shown(source))}.")
    return kind, source, options


def train(request: TrainCommand) -> None:
    """Trains a model; with several recipes, "gpt,bert", one model after another, each for the same time and from random
    weights."""
    asked, folder = request, request.out or Path("models") / (request.source.resolve().stem or request.kind)
    if asked.recipe is None or "," not in asked.recipe:
        _train(asked, folder, process_started())
        return
    if asked.start not in (None, "nothing"):
        raise Refusal(f"--from {asked.start}: several recipes all start from random weights; leave it out")
    targets = {name.strip(): folder.with_name(f"{folder.name}-{name.strip()}") for name in asked.recipe.split(",")}
    for name in targets:  # errors before any training
        recipes.parsed(recipes.find(_recipe_name(asked.kind, name) or ""), asked.options)
    for number, (name, target) in enumerate(targets.items()):
        going = asked.resume and runs.run_folder(target).exists()
        if asked.resume and not going and (target / models.CONFIG).exists():
            tell(f"{target} exists already.")
            continue
        one = replace(asked, recipe=name, start="nothing", resume=going)
        _train(one, target, time.time() if number else process_started())
    say("", "audit", *targets.values())


def _train(request: TrainCommand, folder: Path, began: float) -> None:
    kind, source, options, resume = request.kind, request.source, request.options, request.resume
    budget = request.budget
    begun = resuming.recorded(runs.run_folder(folder)) if resume else None
    asked = _recipe_name(kind, request.recipe or (begun["recipe"] if begun else None))
    reference = request.start or (_nearest(kind, asked, source, options) if begun is None else _begun_from(begun))
    name = asked or _next_recipe(kind, reference) or kinds.checked(kind).default
    chosen = recipes.parsed(recipes.find(name), options)
    if budget is None and request.steps is None and not resume:
        budget = "20m"
    length = {"budget": budget, "steps": request.steps, "resume": resume, "began": began, "device": request.device}
    length |= {"canaries": request.canaries, "keep": request.keep, "keep_evidence": request.evidence}
    first = None if reference in (None, "nothing") else models.load(reference)
    last = follow(runs.training(source, name, folder, seed=request.seed, start=first, **length, **chosen))
    say(f"{last.message}.\nCost: {cost(began)}.", "generate", folder, *_example(last.model), "--count", 4)


def _recipe_name(kind: str, recipe: str | None) -> str | None:
    """The full name of a recipe, as "image_gpt" for "gpt"; None for None."""
    if recipe is None:
        kinds.checked(kind)
        return None
    if recipe in recipes.names():
        return recipe
    if f"{kind}_{recipe}" not in recipes.names():
        raise Refusal(f"recipe {recipe!r}: expected one of {', '.join(recipes.names())}")
    return f"{kind}_{recipe}"


def _next_recipe(kind: str, reference: str | None) -> str | None:
    """The recipe of this kind that continues training a model, by its card; None if there is none."""
    if reference in (None, "nothing"):
        return None
    path = models.resolve(reference)
    if openweights.published(path):
        return kinds.checked(kind).published
    facts = models.card(path)
    name = str(facts.get("continues_with", facts.get("recipe")))
    return name if name in kinds.checked(kind).recipes else None


def _nearest(kind: str, recipe: str | None, source: Path, options: list[str]) -> str | None:
    """The starter to fine-tune if there are few files, its recipe fits and no option changes the shape of the model;
    else None."""
    if kind not in recipes.kinds() or not (few := recipes.kinds()[kind].about.few):
        return None
    starter, named = _starter(kind, source), {word.partition("=")[0] for word in options}
    goes_on = None if starter is None else _next_recipe(kind, starter)
    if starter is None or goes_on is None or recipe not in (None, goes_on):
        return None
    if named - UNSHAPING & set(recipes.options(recipes.find(goes_on))):
        return None
    count = len(_files(kinds.modality_of(kind), source))
    if count >= few:
        return None
    say(
        f"{count:,} files{' are few' if few < math.inf else ''}: fine-tuning the starter {starter!r}; "
        "--from nothing starts from random weights."
    )
    return starter


def _files(modality: Any, source: Path) -> list[Path]:
    return [path for path in listed(source, modality.tracked) if path.suffix.lower() in modality.extensions]


def _starter(kind: str, source: Path) -> str | None:
    """The first starter of a kind whose modality learned the same properties as it does from a few of these files: a
    starter for coloured drawings if they are coloured."""
    there = [name for name in models.starters(kind) if models.card(models.resolve(name)).get("kind") == kind]
    modality, found = recipes.default_modality(kind), []
    paths = _files(modality, source) if there else []
    for path in paths[:: len(paths) // LOOKED_AT + 1]:
        with suppress(Refusal):
            found.append(modality.read(path))
    learned = _told(describe(modality.learned(found)[0])) if found else None
    trees = {name: models.config(models.resolve(name))["arguments"]["modality"] for name in there}
    return next((name for name, tree in trees.items() if _told(tree) == learned), None)


def _told(tree: dict[str, Any]) -> set[str]:
    """The names of a modality's arguments that are not empty."""
    return {name for name, value in tree["arguments"].items() if value}


def _begun_from(begun: dict[str, Any]) -> str | None:
    """The starter that the run to resume started from, if any."""
    return next((name for name in models.starters() if models.digest(models.resolve(name)) == begun["start"]), None)


def _example(model: Generator | None) -> list[str]:
    return ["your prompt"] if model is not None and model.conditioner.takes_prompts else []


def follow(run: Any) -> runs.Progress:
    """Shows a progress bar on a terminal, else a line every ten seconds, until the run ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    last, said, validation = None, 0.0, ""
    with live(*columns, transient=False) as bar:
        task = bar.add_task("reading", total=1.0, figures="")
        for last in run:
            if last.message and last.step is None and last.stage != "saved":
                tell(last.message, error=True)
            if last.step is None:
                continue
            step = last.step
            for remark in step.remarks:
                tell(remark, error=True)
            if step.validation is not None:
                validation = f" validation {step.validation:.4f}" + (" (best)" if step.best else " (rising)")
            loss = " ".join(f"{name} {value:.4f}" for name, value in list(step.losses.items())[:3])
            rate = step.step / max(step.elapsed_seconds, 1e-9)
            figures = f"step {step.step} {loss}{validation} {rate:.2f} steps/s"
            bar.update(task, completed=last.share, description=last.stage, figures=figures)
            if not sys.stderr.isatty() and time.monotonic() - said > 10:
                said = time.monotonic()
                left = step.elapsed_seconds * (1 - last.share) / max(last.share, 1e-3)
                tell(f"{last.stage}: {last.share:.0%}, {figures}, {left:.0f} s left", error=True)
    assert last is not None
    return last
