"""The page on one generated file: whether it is what its record says, how it was drawn, what it is nearest to."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contracts import Prompt
from ..data.dataset import Dataset
from ..data.files import shown
from ..generator import Generator
from ..modalities.image import Image
from ..originality import fingerprints, spans
from ..originality.evidence import Evidence, without_beginning
from ..originality.fingerprints import Fingerprints
from ..originality.lines import Listed
from ..originality.nearness import Calibration
from ..space import Refusal
from . import likelihood, prompted, provenance
from .influence import Influence
from .page import Section, Tile, item, tile
from .provenance import Replay

NEAREST = 5
LARGE = 240  # pixels of the file's own preview
SAME = "Drawn again from its record it comes out the same: the file is what its record says."
CHANGED = "Drawn again from its record it comes out different: the file or its record was changed after it was made."
ELSEWHERE = (
    "Drawn again from its record it comes out different. It was drawn on another kind of machine, or with another "
    "version of torch, which may round otherwise: compare the two below."
)
ANOTHER = "It holds a picture of something drawn, and not what its record draws: nothing else can be told of it."


@dataclass(frozen=True)
class Subject:
    """A file, its record, the model that the record names, and what that model keeps of its training data; `source` is
    the folder it was trained on where that is still there, `start` the model that it went on from, `dataset` its data
    where influence is asked for, `prompt` the record's with its content, None where that is not there."""

    path: Path
    record: Mapping[str, Any]
    model: Generator
    evidence: Evidence | None
    source: Path | None
    start: str | None
    dataset: Dataset | None = None
    prompt: Prompt = None


def look(subject: Subject) -> tuple[list[str], list[Section]]:
    """Sentences for the top of the page, and its sections: all there is to find out about a file."""
    why = provenance.not_replayable(subject.record) or prompted.missing(subject.record, subject.prompt)
    drawn = None if why else provenance.replay(subject.model, subject.record, subject.prompt)
    same = None if drawn is None else provenance.matches(subject.path, drawn.output, subject.record)
    datum = _datum(subject, drawn, same)
    different = CHANGED if provenance.same_place(subject.model, subject.record) else ELSEWHERE
    lead = [written(subject.record), why or (SAME if same else different)]
    sections = [_compared(subject, datum, drawn, same)]
    if drawn is not None:
        sections += [s for s in (_steps(subject, drawn), _words(subject, drawn)) if s is not None]
    if datum is None:
        lead.append(ANOTHER)
    else:
        lead.append(_judged(subject, datum))
        sections += _learned_from(subject, datum)
    return lead, [*sections, Section("record", "The record", figures=dict(subject.record))]


def _learned_from(subject: Subject, datum: Any) -> Iterator[Section]:
    if subject.evidence is not None and not isinstance(subject.evidence, Listed):
        yield _nearest(subject, subject.evidence, datum)
    if subject.dataset is not None:
        yield _influence(subject, subject.dataset, datum)


def written(record: Mapping[str, Any]) -> str:
    """Who made a file, by its record."""
    prompt = f"the prompt {prompted.told(record['prompt'])!r}" if record["prompt"] else "no prompt"
    septet, created, model, digest = (
        str(record.get(k) or "")[:80] for k in ("septet", "created", "model", "model_sha256")
    )
    when = f" on {created}" if created else ""
    told = f"By its record septet {septet} made this{when} with the model {model} ({digest}), {prompt} and seed"
    return shown(f"{told} {record['seed']}.")


def _datum(subject: Subject, drawn: Replay | None, same: bool | None) -> Any:
    """What the file holds. Where its format holds a picture of what was drawn, that, if it is the same; else None."""
    try:
        return subject.model.modality.read(subject.path)
    except Refusal:
        if drawn is None:
            raise
        return drawn.output.datum if same else None


def _own(subject: Subject, datum: Any) -> Any:
    """A datum without the beginning that was given: a text, what the model wrote of it; an item of a list is whole."""
    given = {} if subject.model.modality.listed else subject.record["settings"].get("given") or {}
    return without_beginning(datum, given.get("text")) if isinstance(given, dict) else datum


def _judged(subject: Subject, datum: Any) -> str:
    if subject.evidence is None:
        return "Whether it is new cannot be told: the model keeps no features of its training data."
    verdict = subject.evidence.verdicts([_own(subject, datum)])[0]
    if isinstance(subject.evidence, Listed):
        return (
            "It is new: no training item." if verdict.word == "new" else f"It is the training item {verdict.nearest}."
        )
    share = f"{verdict.p:.1%} of real items that were never trained on stand as near to a training item"
    words = {
        "new": f"It is new: {share}.",
        "close": f"It is close to {verdict.nearest}: only {share}.",
        "copy": f"It is a copy of {verdict.nearest}: at most {share}.",
    }
    start = (
        f" What {subject.start} was trained on, from which the model went on, is not compared." if subject.start else ""
    )
    return words[verdict.word] + start


def _compared(subject: Subject, datum: Any, drawn: Replay | None, same: bool | None) -> Section:
    modality = subject.model.modality
    if isinstance(datum, str):
        pieces = [(datum, False)]
        if drawn is not None and not same:
            pieces += [("\n\n", False), (drawn.output.text, True)]
        told = [] if len(pieces) == 1 else ["Below it, marked, what its record draws."]
        return Section("file", subject.path.name, told, marked=pieces, figures={"same": same})
    tiles = [_file(subject, datum)]
    if drawn is not None and not same:
        tiles.append(tile(modality, drawn.output.datum, "drawn again", LARGE))
    return Section("file", subject.path.name, tiles=tiles, figures={"same": same})


def _file(subject: Subject, datum: Any) -> Tile:
    """The file as its modality reads it; or the picture that it is of something drawn."""
    for modality in (subject.model.modality, Image()):
        with suppress(Refusal):
            return tile(modality, modality.read(subject.path), "the file", LARGE)
    return tile(subject.model.modality, datum, "the file", LARGE)


def _steps(subject: Subject, drawn: Replay) -> Section | None:
    modality, shown = subject.model.modality, drawn.moments
    if len(shown) < 2:
        return None
    told = ["What the model took the finished thing to be, at steps from the first to the last."]
    tiles = [tile(modality, m.datum, f"step {m.step} of {m.steps}") for m in shown]
    return Section("draw", "The draw, step by step", told, tiles)


def _words(subject: Subject, drawn: Replay) -> Section | None:
    found = provenance.influences(subject.model, subject.record, drawn.output.datum, subject.prompt)
    if not found:
        return None
    told = [
        "Drawn from the same noise with one word left out. A full bar changes as much as leaving out the whole prompt.",
    ]
    found.sort(key=lambda influence: -influence.share)
    bars = [(influence.word, influence.share, f"{influence.share:.2f}") for influence in found]
    tiles = [tile(subject.model.modality, i.datum, f"without {i.word!r}") for i in found]
    figures = {influence.word: round(influence.share, 4) for influence in found}
    return Section("words", "What each word of the prompt did", told, tiles, bars=bars, figures=figures)


def _nearest(subject: Subject, kept: Calibration | Fingerprints, datum: Any) -> Section:
    if isinstance(kept, fingerprints.Fingerprints):
        return _copied(kept, datum)
    told = [
        "Below each, how many of real items that were never trained on stand as near to the one nearest to them. "
        "Mirrored, moved, cropped and recoloured copies count as near.",
    ]
    found = kept.nearest(datum, NEAREST)
    # Anybody's model folder may name another's pictures: only what the model learned from is shown.
    tiles = [item(subject.model.modality, subject.source, name, f"{name}: {p:.1%}", kept.holds) for name, p in found]
    return Section(
        "nearest", "The nearest training items", told, tiles, figures=[{"item": n, "p": p} for n, p in found]
    )


def _influence(subject: Subject, dataset: Dataset, datum: Any) -> Section:
    model = subject.model
    index = [i for i in dataset.training if likelihood.fits(model, dataset.data[i])]
    data = [model.modality.postprocess(dataset.data[i]) for i in index]
    influence = Influence(model, data, [dataset.prompts[i] for i in index])
    scores = influence.scores(model.modality.preprocess(datum), subject.prompt)
    best = scores.topk(min(NEAREST, len(index)))
    told = [
        "By gradients: had the model not seen these, it would find this file least likely. Nearness asks what looks "
        "alike; influence asks what was learned from. It is an estimate."
    ]
    names = [dataset.sources[index[int(i)]] for i in best.indices]
    shares = (best.values / scores.abs().sum().clamp(min=1e-12)).tolist()
    pairs = list(zip(names, shares, strict=True))
    tiles = [
        item(model.modality, subject.source, name, f"{name}: {share:.1%} of all influence") for name, share in pairs
    ]
    figures = [{"item": name, "share": share} for name, share in pairs]
    return Section("influence", "The training items of most influence", told, tiles, figures=figures)


def _copied(kept: fingerprints.Fingerprints, datum: str) -> Section:
    found = kept.copied(datum)
    pieces = fingerprints.marked(spans.normalised(datum), found)
    share = sum(len(piece) for piece, inside in pieces if inside) / max(1, sum(len(piece) for piece, _ in pieces))
    told = [
        f"{share:.0%} of its characters stand in spans of at least {spans.COVERING} that training texts hold too, case "
        "and white space aside. They are marked; each may reach a few characters further.",
    ]
    return Section("copied", "Copied spans", told, marked=pieces, figures=list(_told(kept, found)))


def _told(kept: fingerprints.Fingerprints, found: list[fingerprints.Copied]) -> Iterator[dict[str, Any]]:
    for span in sorted(found, key=lambda span: span.begin - span.end)[:NEAREST]:
        yield {"characters": span.end - span.begin, "begin": span.begin, "in": kept.names[span.source]}
