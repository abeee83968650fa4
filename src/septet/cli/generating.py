"""septet generate."""

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import models, recipes
from ..codecs.symbols import GAP
from ..devices import device_of
from ..generator import Generator
from ..originality import evidence, lines
from ..originality.calibration import Verdict
from ..originality.evidence import Evidence, without_beginning
from ..output import Output
from ..processes.settings import chosen, takes
from ..space import Refusal
from ..storage import references, whole
from ..storage.pictures import png
from .editing import Edit, beginning, given_of
from .prompts import GenerateCommand, Row, options_of, parted, rows_of, with_content
from .redrawing import Fresh, fresh_of, moments
from .terminal import cost, live, say, tell

SHOWN = 3  # texts that are also printed
MARKS = ("new", "in your data")
LISTED = 16  # outputs whose verdicts are printed one by one


def generate(request: GenerateCommand, settings: dict[str, Any], edit: Edit) -> None:
    began = time.time()
    folder = models.resolve(_reference(request))
    model = models.load(folder, device=device_of(request.device))
    kept, request = _kept(folder, model), _setting_first(request, model)
    judge = evidence.judging(kept)
    if request.suffix is None:
        request = replace(request, suffix=_suffix(request.what, model))
    settings |= options_of(parted(request.options, model)[1])
    listed = model.modality.listed
    made = Made(_by_line(model, settings.pop("lines", "yes" if listed else "no")))
    if listed:
        judge = None if made.by_line else judge  # an item's mark is its verdict
        one = "yes" if request.prompts is None else "no"  # each row of a table keeps its own seed
        made.fresh = fresh_of(model, settings.pop("new", one), kept, request.seed + request.count)
    settings = chosen(model.process, settings, {})
    if edit.end_prompt is not None or edit.end_seed is not None:
        _interpolate(model, judge, request, settings, edit, began)
        return
    rows = rows_of(request, model)
    left = [row for row in rows if row.path is None or not row.path.exists()]
    if len(left) < len(rows):
        tell(f"{len(rows) - len(left)} of {len(rows)} files exist already and are skipped.")
    _tell_unseen(model, left)
    _draw(model, judge, left, edit, request, settings, made)
    for text in made.texts:
        tell(text + "\n")
    if made.by_line:
        _tell_lines(kept, list(dict.fromkeys(made.lines)))
    _tell_verdicts(made.saved, made.verdicts)
    if made.fresh is not None and (told := made.fresh.sentence(len(left), len(made.saved))):
        tell(told)
    _report(request, made.saved, began, made.fresh.seed if made.fresh else request.seed + request.count)


@dataclass
class Made:
    """The outputs so far: files, verdicts, and the first few texts or, with `by_line`, the lines of all. With `fresh`,
    only new items."""

    by_line: bool
    fresh: Fresh | None = None
    saved: list[Path] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def _draw(
    model: Generator,
    judge: Evidence | None,
    rows: list[Row],
    edit: Edit,
    request: GenerateCommand,
    settings: dict[str, Any],
    made: Made,
) -> None:
    listed = model.modality.listed
    with live() as bar:
        task = bar.add_task("generating", total=max(1, len(rows)))
        for prompt, group in _by_given(model, rows):
            given = given_of(model, edit, prompt)
            begun = beginning(given, prompt)
            asked = [(whole, row.seed) for whole, row in zip(with_content(group, model), group, strict=True)]
            queue = list(group)
            for moment in moments(model, asked, given, request.tile, settings, made.fresh) if group else ():
                share = (moment.state.step + 1) / moment.state.steps if not moment.outputs else 0
                bar.update(task, completed=len(made.saved) + share * min(request.tile, len(queue)))
                for output in moment.outputs:
                    made.saved.append(_save(output, queue.pop(0), request))
                    if made.by_line:
                        made.lines += [output.text] if listed else lines.items(output.text, bool(begun))
                    elif isinstance(output.datum, str) and len(made.texts) < SHOWN:
                        made.texts.append(output.text)
                if judge is not None and moment.outputs:
                    own = None if listed else begun
                    made.verdicts += judge.verdicts([without_beginning(o.datum, own) for o in moment.outputs])


def _setting_first(request: GenerateCommand, model: Generator) -> GenerateCommand:
    """Moves a prompt that is a setting, such as `lines=yes`, or a file to the options."""
    name, equals, value = (request.prompt or "").partition("=")
    given = value.startswith("@") and name in model.conditioner.contents
    own = name == "lines" or (name == "new" and model.modality.listed)
    if not equals or not (given or own or takes(model.process, name)):
        return request
    return replace(request, prompt=None, options=[str(request.prompt), *request.options])


def _kept(folder: Path, model: Generator) -> Evidence | None:
    """The evidence stored with the model. If it cannot be read, prints why, since sampling does not need it."""
    try:
        return evidence.read(folder, model.modality)
    except Refusal as error:
        tell(f"No verdicts: {error}.")
        return None


def _by_line(model: Generator, asked: Any) -> bool:
    if asked not in ("yes", "no"):
        raise Refusal(f"lines={asked}: expected yes or no")
    if asked == "yes" and not model.modality.compares_spans:
        raise Refusal(f"lines=yes is for texts, and {model.name} generates {model.modality.name}; leave it out")
    return asked == "yes"


def _tell_lines(kept: Evidence | None, items: list[str]) -> None:
    """Prints lines of texts, each marked by whether it occurs in the training data."""
    known = evidence.lines_marked(kept, items)
    if known is None:
        tell("Whether lines are new is not known: no hashes of the training lines are stored with the model.\n")
    for item, there in zip(items, known or [None] * len(items), strict=True):
        tell(f"{MARKS[there]:12s}  {item}" if there is not None else item)
    tell()


def _tell_verdicts(saved: list[Path], verdicts: list[Verdict]) -> None:
    """Prints each verdict; if there are many, their counts, and only those that are not new."""
    told = list(zip(saved, verdicts, strict=False))
    if len(told) > LISTED:
        new, close, copies = (sum(v.word == word for v in verdicts) for word in ("new", "close", "copy"))
        tell(f"Compared with the training data, {new:,} are new, {close:,} close to an item and {copies:,} copies.")
        told = [(path, verdict) for path, verdict in told if verdict.word != "new"][:LISTED]
    for path, verdict in told:
        tell(f"{path}: {verdict}")


def _interpolate(
    model: Generator,
    judge: Evidence | None,
    request: GenerateCommand,
    settings: dict[str, Any],
    edit: Edit,
    began: float,
) -> None:
    """Generates `count` outputs that interpolate to the end prompt and seed, and a strip of all of them."""
    ends = request.prompt, request.prompt if edit.end_prompt is None else edit.end_prompt
    seeds = request.seed, request.seed if edit.end_seed is None else edit.end_seed
    files = tuple(parted(request.options, model)[0].items())
    rows = [Row(prompt, seed, files=files) for prompt, seed in zip(ends, seeds, strict=True)]
    first, last = with_content(rows, model)
    outputs = model.interpolate((first, last), seeds, frames=request.count, **settings)
    saved = [_save(output, rows[0], request) for output in outputs]
    strip = saved[0].with_name(f"{saved[0].stem}-strip.png")
    whole.write(strip, png(outputs.sheet(columns=len(outputs)), {"strip": [o.record for o in outputs]}))
    _tell_verdicts(saved, judge.verdicts([output.datum for output in outputs]) if judge else [])
    _report(request, saved, began, request.seed + request.count)
    say(f"All side by side: {strip}.")


def folder_of(request: GenerateCommand) -> Path:
    """The folder for the files, which is created if it does not exist."""
    with whole.refusing(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
    return request.out


def _reference(request: GenerateCommand) -> str:
    if request.model is not None:
        return request.model
    known = request.what in references.starters() or os.path.exists(request.what)
    return request.what if known else next(iter(references.starters(request.what)), request.what)


def _suffix(what: str, model: Generator) -> str | None:
    """The suffix for files of the requested kind, if the model generates another kind that can be written as such:
    pictures from a model of drawings. None for the model's own."""
    if what == model.modality.name or what in references.starters() or os.path.exists(what):
        return None
    kind = recipes.kinds().get(what)
    return None if kind is None else next((s for s in kind.modality.suffixes if s in model.modality.suffixes), None)


def _by_given(model: Generator, rows: list[Row]) -> list[tuple[str | None, list[Row]]]:
    """Groups of rows that can be sampled together: all, unless prompts are beginnings."""
    if not model.begins:
        return [(None, rows)]
    groups: dict[str | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.prompt, []).append(row)
    return list(groups.items())


def _tell_unseen(model: Generator, rows: list[Row]) -> None:
    unknown = getattr(model.codec, "unknown", None) if model.begins else None  # characters outside the vocabulary
    look = unknown or model.conditioner.unseen
    unseen = list(dict.fromkeys(word for row in rows for word in look((row.prompt or "").replace(GAP, ""))))
    unread = {word: None for whole in with_content(rows, model) for word in model.conditioner.unread(whole)}
    if unread:
        tell(f"Ignored, since the prompt is longer than the model's limit: {', '.join(map(_shown, unread))}.")
    if unseen:
        tell(f"Not in the training data: {', '.join(map(_shown, unseen[:20]))}. The model can only guess.")


def _shown(word: str) -> str:
    return word if word.isprintable() else repr(word)


def _save(output: Output, row: Row, request: GenerateCommand) -> Path:
    for name, path in row.files:
        output.record["prompt"][name]["file"] = path.name
    if row.path is not None:
        return output.save(row.path)
    return output.save(folder_of(request), request.suffix)


def _report(request: GenerateCommand, saved: list[Path], began: float, seed: int) -> None:
    where = str(saved[0]) if len(saved) == 1 else f"{len(saved)} files in {request.out}"
    words = ["generate", request.what, *([] if request.prompt is None else [request.prompt]), *request.options]
    words += ["--seed", seed, *([] if request.model is None else ["--model", request.model])]
    say(f"Made {where if saved else 'nothing new'}.\nCost: {cost(began)}.", *(words if saved else []))
