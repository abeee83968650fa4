"""septet generate."""

import csv
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from .. import models
from ..generator import Generator, Given
from ..output import Output, Outputs
from ..space import Refusal
from . import STARTERS, cost, say

LONGEST_PROMPT = 10_000  # characters


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    what: str
    model: str | None
    prompt: str | None
    options: list[str]
    count: int
    seed: int
    prompts: Path | None
    out: Path
    tile: int


@dataclass(frozen=True)
class Edit:
    """A given file and what is to become of it."""

    image: Path | None
    mask: Path | None
    strength: float | None
    like: Path | None


@dataclass(frozen=True)
class Row:
    """A prompt with a seed, and the file it goes to; None for the next free name."""

    prompt: str | None
    seed: int
    path: Path | None = None


def generate(request: Request, settings: dict[str, Any], edit: Edit) -> None:
    began = time.time()
    model = models.load(_reference(request))
    settings |= _options(request.options)
    rows = _rows(request, model)
    left = [row for row in rows if row.path is None or not row.path.exists()]
    if len(left) < len(rows):
        print(f"{len(rows) - len(left)} of {len(rows)} are there already and stay as they are.")
    _tell_unseen(model, left)
    saved: list[Path] = []
    outputs = Outputs()
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("drawing", total=max(1, len(left)))
        for prompt, group in _by_given(model, left):
            given = _given(model, edit, prompt)
            asked = [(None if _begins(model) else row.prompt, row.seed) for row in group]
            queue = list(group)
            for moment in model.generating(asked, given, request.tile, **settings) if group else ():
                share = (moment.state.step + 1) / moment.state.steps if not moment.outputs else 0
                bar.update(task, completed=len(saved) + share * min(request.tile, len(queue)))
                for output in moment.outputs:
                    saved.append(_save(output, queue.pop(0), request.out))
                    outputs.append(output)
    _report(model, request, saved, outputs, began)


def _reference(request: Request) -> str:
    if request.model is not None:
        return request.model
    return STARTERS.get(request.what, request.what)


def _options(words: list[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Refusal(f"setting {word!r}: expected name=value; put a prompt of several words in quotes")
        try:
            settings[name] = float(value) if "." in value or "e" in value else int(value)
        except ValueError:
            settings[name] = value
    return settings


def _rows(request: Request, model: Generator) -> list[Row]:
    if not 1 <= request.count <= 1_000_000:
        raise Refusal(f"count={request.count}: expected 1 to 1,000,000")
    if request.prompts is None:
        rows = [Row(request.prompt, request.seed + k) for k in range(request.count)]
    else:
        rows = [row for line in _lines(request.prompts) for row in _rows_of(line, request, model)]
    for row in rows:
        if row.prompt is not None and len(row.prompt) > LONGEST_PROMPT:
            raise Refusal(f"a prompt of {len(row.prompt):,} characters: at most {LONGEST_PROMPT:,}; shorten it")
    return rows


def _lines(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refusal(f"{path} cannot be read as CSV: {error}") from error
    if not lines or "prompt" not in lines[0]:
        raise Refusal(
            f"{path}: expected a first line naming the columns prompt, name, count, seed, then at least one row"
        )
    return lines


def _rows_of(line: dict[str, str], request: Request, model: Generator) -> list[Row]:
    try:
        count, seed = int(line.get("count") or request.count), int(line.get("seed") or request.seed)
    except ValueError as error:
        raise Refusal(f"{request.prompts}: count and seed must be whole numbers, got {line}") from error
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in line.get("name") or line["prompt"])[:64].strip("-")
    return [
        Row(line["prompt"], seed + k, request.out / f"{name or model.name}-{seed + k}{model.modality.suffix}")
        for k in range(count)
    ]


def _begins(model: Generator) -> bool:
    """Whether prompts are the beginning of what is drawn, as for a text model."""
    return model.modality.name == "text" and model.conditioner.nothing(1).shape[1] == 0


def _by_given(model: Generator, rows: list[Row]) -> list[tuple[str | None, list[Row]]]:
    """Rows that can be drawn together: all, unless prompts are beginnings."""
    if not _begins(model):
        return [(None, rows)]
    groups: dict[str | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.prompt, []).append(row)
    return list(groups.items())


def _given(model: Generator, edit: Edit, prompt: str | None) -> Given | None:
    if prompt:
        return Given(prompt)
    if edit.like is not None:
        return Given(_fitted(model, edit.like), strength=edit.strength or 0.6)
    if edit.image is None:
        if edit.mask is not None or edit.strength is not None:
            raise Refusal("--mask and --strength need --image FILE, the file to change")
        return None
    if edit.mask is None and edit.strength is None:
        if model.modality.name == "image":
            raise Refusal("--image needs --mask FILE (white where it is to be drawn anew) or --strength X (0 to 1)")
        return Given(model.modality.read(edit.image))
    content = _fitted(model, edit.image)
    if edit.mask is None:
        return Given(content, strength=edit.strength)
    try:
        drawn = Image.open(edit.mask).convert("L").resize(content.shape[1::-1], Image.Resampling.NEAREST)
    except OSError as error:
        raise Refusal(f"{edit.mask} is not a picture that can be read: {error}") from error
    return Given(content, where=np.asarray(drawn) < 128)


def _fitted(model: Generator, path: Path) -> Any:
    content = model.modality.read(path)
    fit = getattr(model.modality, "fit", None)
    return fit(content) if fit else content


def _tell_unseen(model: Generator, rows: list[Row]) -> None:
    unseen = list(dict.fromkeys(word for row in rows for word in model.conditioner.unseen(row.prompt)))
    if unseen:
        print(f"Never seen in training: {', '.join(unseen[:20])}. The model can only guess at them.")


def _save(output: Output, row: Row, out: Path) -> Path:
    if row.path is not None:
        return output.save(row.path)
    out.mkdir(parents=True, exist_ok=True)
    return output.save(out)


def _report(model: Generator, request: Request, saved: list[Path], outputs: Outputs, began: float) -> None:
    if model.modality.name == "text":
        for output in outputs[:3]:
            print(output.text + "\n")
    where = str(saved[0]) if len(saved) == 1 else f"{len(saved)} files in {request.out}"
    following = f"septet generate {request.what} {request.prompt!r} --seed {request.seed + request.count}"
    say(f"Made {where if saved else 'nothing new'}.\nCost: {cost(began)}.", following if saved else None)
