"""septet generate."""

import csv
import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from .. import models
from ..codecs.symbols import GAP
from ..devices import device_of
from ..generator import Generator, Given
from ..output import Output
from ..space import Refusal
from ..streams import checked_seed
from . import STARTERS, cost, say

LONGEST_PROMPT = 10_000  # characters
MOST = 1_000_000  # outputs of a prompt
SHOWN = 3  # texts that are printed as well
LIKE = 0.6  # the strength of "more like this"


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
    suffix: str | None
    device: str


@dataclass(frozen=True)
class Edit:
    """A given file and what is to become of it."""

    image: Path | None
    mask: Path | None
    strength: float | None
    like: Path | None


@dataclass(frozen=True)
class Row:
    """A prompt with a seed, the name it was given, and the file it goes to; None for the next free one."""

    prompt: str | None
    seed: int
    path: Path | None = None
    name: str | None = None


def generate(request: Request, settings: dict[str, Any], edit: Edit) -> None:
    began = time.time()
    model = models.load(_reference(request), device=device_of(request.device))
    settings |= _options(request.options)
    rows = _rows(request, model)
    left = [row for row in rows if row.path is None or not row.path.exists()]
    if len(left) < len(rows):
        print(f"{len(rows) - len(left)} of {len(rows)} are there already and stay as they are.")
    _tell_unseen(model, left)
    saved: list[Path] = []
    texts: list[str] = []  # the first few
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
                    saved.append(_save(output, queue.pop(0), request))
                    texts += [output.text] if model.modality.name == "text" and len(texts) < SHOWN else []
    for text in texts:
        print(text + "\n")
    _report(request, saved, began)


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
        for kind in (int, float, str):
            try:
                settings[name] = kind(value)
                break
            except ValueError:
                continue
    return settings


def _rows(request: Request, model: Generator) -> list[Row]:
    if request.prompts is None:
        asked = [(request.prompt, request.count, request.seed, None)]
    else:
        asked = [_asked(line, request) for line in _lines(request.prompts)]
    for prompt, count, seed, _ in asked:
        if not 1 <= count <= MOST:
            raise Refusal(f"count={count}: expected 1 to {MOST:,}")
        checked_seed(seed + count - 1 if seed >= 0 else seed)
        if prompt is not None and len(prompt) > LONGEST_PROMPT:
            raise Refusal(f"a prompt of {len(prompt):,} characters: at most {LONGEST_PROMPT:,}; shorten it")
        if prompt is not None and any(0xD800 <= ord(c) <= 0xDFFF for c in prompt):
            raise Refusal("the prompt holds bytes that are not UTF-8; write it in UTF-8")
    rows = [Row(prompt, seed + k, name=name) for prompt, count, seed, name in asked for k in range(count)]
    suffix = request.suffix or model.modality.suffixes[0]
    return rows if request.prompts is None else _named(rows, request.out, suffix, model)


def _lines(path: Path) -> list[dict[str, str | None]]:
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


def _asked(line: dict[str, str | None], request: Request) -> tuple[str, int, int, str]:
    """The prompt, count, seed and name of a line of the CSV file."""
    prompt = line["prompt"] or ""
    try:
        count, seed = int(line.get("count") or request.count), int(line.get("seed") or request.seed)
    except ValueError as error:
        raise Refusal(f"{request.prompts}: count and seed must be whole numbers, got {line}") from error
    return prompt, count, seed, line.get("name") or prompt


def _named(rows: list[Row], out: Path, suffix: str, model: Generator) -> list[Row]:
    """Each row with the file it goes to, the same at every call: a number tells apart what would share a name. A row
    that repeats another, prompt and seed, is left out."""
    taken: dict[Path, Row] = {}
    for row in rows:
        name = "".join(c if c.isalnum() or c in "-_" else "-" for c in row.name or "")[:64].strip("-") or model.name
        for repeat in range(1, len(rows) + 1):
            path = out / f"{name}-{row.seed}{'' if repeat == 1 else f'-{repeat}'}{suffix}"
            there = taken.setdefault(path, row)
            if (there.prompt, there.name) == (row.prompt, row.name):
                break
    return [replace(row, path=path) for path, row in taken.items()]


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
    if _begins(model) and edit.like is None and edit.image is None:
        _refuse_stray(edit)
        return Given(prompt) if prompt else None
    if edit.like is not None:
        if edit.image is not None or edit.mask is not None:
            raise Refusal("--like goes without --image and --mask: give one file to go by")
        strength = LIKE if edit.strength is None else edit.strength
        return Given(_fitted(model, edit.like), strength=strength)
    if edit.image is None:
        _refuse_stray(edit)
        return None
    if edit.mask is not None and edit.strength is not None:
        raise Refusal("--mask and --strength: give one of the two")
    if edit.mask is None and edit.strength is None:
        if model.modality.name == "image":
            raise Refusal("--image needs --mask FILE (white where it is to be drawn anew) or --strength X (0 to 1)")
        return Given(model.modality.read(edit.image))
    content = _fitted(model, edit.image)
    if edit.mask is None:
        return Given(content, strength=edit.strength)
    if model.modality.name != "image":
        raise Refusal(f"--mask: {model.name} draws {model.modality.name}, and a mask is for pictures; leave it out")
    drawn = Image.fromarray(model.modality.read(edit.mask)).convert("L")
    drawn = drawn.resize(content.shape[1::-1], Image.Resampling.NEAREST)
    return Given(content, where=np.asarray(drawn) < 128)


def _refuse_stray(edit: Edit) -> None:
    if edit.mask is not None or edit.strength is not None:
        raise Refusal("--mask and --strength need --image FILE, the file to change")


def _fitted(model: Generator, path: Path) -> Any:
    content = model.modality.read(path)
    fit = getattr(model.modality, "fit", None)
    return fit(content) if fit else content


def _tell_unseen(model: Generator, rows: list[Row]) -> None:
    unknown = getattr(model.codec, "unknown", None) if _begins(model) else None  # characters, where it knows some
    look = unknown or model.conditioner.unseen
    unseen = list(dict.fromkeys(word for row in rows for word in look((row.prompt or "").replace(GAP, ""))))
    if unseen:
        print(f"Never seen in training: {', '.join(map(_shown, unseen[:20]))}. The model can only guess at them.")


def _shown(word: str) -> str:
    return word if word.isprintable() else repr(word)


def _save(output: Output, row: Row, request: Request) -> Path:
    if row.path is not None:
        return output.save(row.path)
    request.out.mkdir(parents=True, exist_ok=True)
    return output.save(request.out, request.suffix)


def _report(request: Request, saved: list[Path], began: float) -> None:
    where = str(saved[0]) if len(saved) == 1 else f"{len(saved)} files in {request.out}"
    words = ["septet generate", request.what, *([] if request.prompt is None else [shlex.quote(request.prompt)])]
    words += ["--seed", str(request.seed + request.count)]
    words += [] if request.model is None else ["--model", shlex.quote(request.model)]
    say(f"Made {where if saved else 'nothing new'}.\nCost: {cost(began)}.", " ".join(words) if saved else None)
