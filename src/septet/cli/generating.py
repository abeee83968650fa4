"""septet generate."""

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

from .. import folders, models
from ..codecs.symbols import GAP
from ..devices import device_of
from ..generator import Generator, Given
from ..modalities.records import png_with
from ..originality import evidence
from ..originality.calibration import Verdict
from ..originality.evidence import Evidence, without_beginning
from ..output import Output
from ..space import Refusal
from . import STARTERS, cost, say
from .requests import Request, Row, options_of, rows_of

SHOWN = 3  # texts that are printed as well
LISTED = 16  # outputs whose verdicts are printed one by one
LIKE = 0.6  # the strength of "more like this"


@dataclass(frozen=True)
class Edit:
    """A given file and what is to become of it."""

    image: Path | None
    mask: Path | None
    strength: float | None
    like: Path | None
    end_prompt: str | None
    end_seed: int | None


def generate(request: Request, settings: dict[str, Any], edit: Edit) -> None:
    began = time.time()
    folder = models.resolve(_reference(request))
    model = models.load(folder, device=device_of(request.device))
    judge = _judge(folder, model)
    if request.what == "image" and request.suffix is None and ".png" in model.modality.suffixes:
        request = replace(request, suffix=".png")  # drawings as pictures, if pictures are asked for
    settings |= options_of(request.options)
    if edit.end_prompt is not None or edit.end_seed is not None:
        _interpolate(model, judge, request, settings, edit, began)
        return
    rows = rows_of(request, model)
    left = [row for row in rows if row.path is None or not row.path.exists()]
    if len(left) < len(rows):
        print(f"{len(rows) - len(left)} of {len(rows)} are there already and stay as they are.")
    _tell_unseen(model, left)
    saved: list[Path] = []
    verdicts: list[Verdict] = []
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
                    texts += [output.text] if model.modality.written and len(texts) < SHOWN else []
                if judge is not None and moment.outputs:
                    verdicts += judge.verdicts([without_beginning(o.datum, prompt) for o in moment.outputs])
    for text in texts:
        print(text + "\n")
    _tell_verdicts(saved, verdicts)
    _report(request, saved, began)


def _judge(folder: Path, model: Generator) -> Evidence | None:
    """By what outputs are judged; what cannot be used is said and left, since drawing needs none of it."""
    try:
        return evidence.load(folder, model.modality)
    except Refusal as error:
        print(f"No verdicts: {error}.")
        return None


def _tell_verdicts(saved: list[Path], verdicts: list[Verdict]) -> None:
    """One by one; of many, how many there are of each, and only those that are not new."""
    told = list(zip(saved, verdicts, strict=False))
    if len(told) > LISTED:
        new, close, copies = (sum(v.word == word for v in verdicts) for word in ("new", "close", "copy"))
        print(f"Beside the training data {new:,} are new, {close:,} close to an item and {copies:,} copies.")
        told = [(path, verdict) for path, verdict in told if verdict.word != "new"][:LISTED]
    for path, verdict in told:
        print(f"{path}: {verdict}")


def _interpolate(
    model: Generator, judge: Evidence | None, request: Request, settings: dict[str, Any], edit: Edit, began: float
) -> None:
    """`count` outputs on the way from the prompt and seed to those at the end, and all of them in one strip."""
    ends = request.prompt, request.prompt if edit.end_prompt is None else edit.end_prompt
    seeds = request.seed, request.seed if edit.end_seed is None else edit.end_seed
    outputs = model.interpolate(ends, seeds, frames=request.count, **settings)
    saved = [output.save(folder_of(request), request.suffix) for output in outputs]
    strip = saved[0].with_name(f"{saved[0].stem}-strip.png")
    folders.write(strip, png_with({"strip": [o.record for o in outputs]}, outputs.sheet(columns=len(outputs))))
    _tell_verdicts(saved, judge.verdicts([output.datum for output in outputs]) if judge else [])
    _report(request, saved, began)
    say(f"All in one strip: {strip}.")


def folder_of(request: Request) -> Path:
    """The folder for the files, made if need be."""
    with folders.refusing(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
    return request.out


def _reference(request: Request) -> str:
    if request.model is not None:
        return request.model
    return STARTERS.get(request.what, request.what)


def _begins(model: Generator) -> bool:
    """Whether prompts are the beginning of what is drawn, as for a text model."""
    return model.modality.written and not model.conditioner.takes_prompts


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
        return Given(model.modality.fit(model.modality.read(edit.like)), strength=strength)
    if edit.image is None:
        _refuse_stray(edit)
        return None
    if edit.mask is not None and edit.strength is not None:
        raise Refusal("--mask and --strength: give one of the two")
    if edit.mask is None and edit.strength is None:
        if model.modality.name == "image":
            raise Refusal("--image needs --mask FILE (white where it is to be drawn anew) or --strength X (0 to 1)")
        return Given(model.modality.read(edit.image))
    content = model.modality.fit(model.modality.read(edit.image))
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
    return output.save(folder_of(request), request.suffix)


def _report(request: Request, saved: list[Path], began: float) -> None:
    where = str(saved[0]) if len(saved) == 1 else f"{len(saved)} files in {request.out}"
    words = ["septet generate", request.what, *([] if request.prompt is None else [shlex.quote(request.prompt)])]
    words += ["--seed", str(request.seed + request.count)]
    words += [] if request.model is None else ["--model", shlex.quote(request.model)]
    say(f"Made {where if saved else 'nothing new'}.\nCost: {cost(began)}.", " ".join(words) if saved else None)
