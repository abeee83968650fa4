"""The audit page of a generated file: whether it matches its record, how it was sampled, its nearest training items."""

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
SAME = "Generating it again from its record gives an identical result: the file matches its record."
CHANGED = "Generating it again from its record gives another result: the file or its record was changed afterwards."
ELSEWHERE = (
    "Generating it again from its record gives another result. It was made on another kind of machine or with another "
    "version of torch, which may round differently: compare the two below."
)
ANOTHER = "It contains a picture, not the one that its record generates: nothing else can be determined."


@dataclass(frozen=True)
class Subject:
    """A file, its record, the model that the record names, and the evidence of the model's training data. `source` is
    the folder of these data if it still exists, `start` the model that it was fine-tuned from, `dataset` the data if
    influence is requested, `prompt` the record's prompt with its content, None if that is missing."""

    path: Path
    record: Mapping[str, Any]
    model: Generator
    evidence: Evidence | None
    source: Path | None
    start: str | None
    dataset: Dataset | None = None
    prompt: Prompt = None


def look(subject: Subject) -> tuple[list[str], list[Section]]:
    """The introduction of the page, in sentences, and its sections."""
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
    """A sentence on how a file was made, according to its record."""
    prompt = f"the prompt {prompted.told(record['prompt'])!r}" if record["prompt"] else "no prompt"
    septet, created, model, digest = (
        str(record.get(k) or "")[:80] for k in ("septet", "created", "model", "model_sha256")
    )
    when = f" on {created}" if created else ""
    sentence = (
        f"According to its record, septet {septet} made this{when} with the model {model} ({digest}), {prompt} and seed"
    )
    return shown(f"{sentence} {record['seed']}.")


def _datum(subject: Subject, drawn: Replay | None, same: bool | None) -> Any:
    """The datum in the file. If the file contains only a picture of it, the regenerated datum if its picture is the
    same, else None."""
    try:
        return subject.model.modality.read(subject.path)
    except Refusal:
        if drawn is None:
            raise
        return drawn.output.datum if same else None


def _own(subject: Subject, datum: Any) -> Any:
    """A datum without a given beginning: the part of a text that the model generated; items of lists are whole."""
    given = {} if subject.model.modality.listed else subject.record["settings"].get("given") or {}
    return without_beginning(datum, given.get("text")) if isinstance(given, dict) else datum


def _judged(subject: Subject, datum: Any) -> str:
    if subject.evidence is None:
        return "Whether it is new is unknown: the model keeps no features of its training data."
    verdict = subject.evidence.verdicts([_own(subject, datum)])[0]
    if isinstance(subject.evidence, Listed):
        return (
            "It is new: no training item." if verdict.word == "new" else f"It is the training item {verdict.nearest}."
        )
    share = f"{verdict.p:.1%} of real items that the model was not trained on are as near to a training item"
    words = {
        "new": f"It is new: {share}.",
        "close": f"It is close to {verdict.nearest}: only {share}.",
        "copy": f"It is a copy of {verdict.nearest}: at most {share}.",
    }
    start = (
        f" The training data of {subject.start}, from which it was fine-tuned, are not compared."
        if subject.start
        else ""
    )
    return words[verdict.word] + start


def _compared(subject: Subject, datum: Any, drawn: Replay | None, same: bool | None) -> Section:
    modality = subject.model.modality
    if isinstance(datum, str):
        pieces = [(datum, False)]
        if drawn is not None and not same:
            pieces += [("\n\n", False), (drawn.output.text, True)]
        sentences = [] if len(pieces) == 1 else ["Below it, marked: the text that its record generates."]
        return Section("file", subject.path.name, sentences, marked=pieces, figures={"same": same})
    tiles = [_file(subject, datum)]
    if drawn is not None and not same:
        tiles.append(tile(modality, drawn.output.datum, "generated again", LARGE))
    return Section("file", subject.path.name, tiles=tiles, figures={"same": same})


def _file(subject: Subject, datum: Any) -> Tile:
    """The file as its modality reads it, or else as a picture."""
    for modality in (subject.model.modality, Image()):
        with suppress(Refusal):
            return tile(modality, modality.read(subject.path), "the file", LARGE)
    return tile(subject.model.modality, datum, "the file", LARGE)


def _steps(subject: Subject, drawn: Replay) -> Section | None:
    modality, shown = subject.model.modality, drawn.moments
    if len(shown) < 2:
        return None
    sentences = ["The model's prediction of the final output, at steps from the first to the last."]
    tiles = [tile(modality, m.datum, f"step {m.step} of {m.steps}") for m in shown]
    return Section("draw", "Sampling, step by step", sentences, tiles)


def _words(subject: Subject, drawn: Replay) -> Section | None:
    found = provenance.influences(subject.model, subject.record, drawn.output.datum, subject.prompt)
    if not found:
        return None
    sentences = [
        "Generated from the same noise without one word. A full bar is the change when the whole prompt is omitted.",
    ]
    found.sort(key=lambda influence: -influence.share)
    bars = [(influence.word, influence.share, f"{influence.share:.2f}") for influence in found]
    tiles = [tile(subject.model.modality, i.datum, f"without {i.word!r}") for i in found]
    figures = {influence.word: round(influence.share, 4) for influence in found}
    return Section("words", "The effect of each word of the prompt", sentences, tiles, bars=bars, figures=figures)


def _nearest(subject: Subject, kept: Calibration | Fingerprints, datum: Any) -> Section:
    if isinstance(kept, fingerprints.Fingerprints):
        return _copied(kept, datum)
    sentences = [
        "Below each, the share of real items that the model was not trained on that are as near to a training item. "
        "Mirrored, shifted, cropped and recoloured copies count as near.",
    ]
    found = kept.nearest(datum, NEAREST)
    # A model folder from elsewhere may name any file: only training items are shown.
    tiles = [item(subject.model.modality, subject.source, name, f"{name}: {p:.1%}", kept.holds) for name, p in found]
    return Section(
        "nearest", "The nearest training items", sentences, tiles, figures=[{"item": n, "p": p} for n, p in found]
    )


def _influence(subject: Subject, dataset: Dataset, datum: Any) -> Section:
    model = subject.model
    index = [i for i in dataset.training if likelihood.fits(model, dataset.data[i])]
    data = [model.modality.postprocess(dataset.data[i]) for i in index]
    influence = Influence(model, data, [dataset.prompts[i] for i in index])
    scores = influence.scores(model.modality.preprocess(datum), subject.prompt)
    best = scores.topk(min(NEAREST, len(index)))
    sentences = [
        "Estimated from gradients: training on these items lowered the loss of this file most. Nearness measures what "
        "looks similar; influence measures what was learned from."
    ]
    names = [dataset.sources[index[int(i)]] for i in best.indices]
    shares = (best.values / scores.abs().sum().clamp(min=1e-12)).tolist()
    pairs = list(zip(names, shares, strict=True))
    tiles = [
        item(model.modality, subject.source, name, f"{name}: {share:.1%} of all influence") for name, share in pairs
    ]
    figures = [{"item": name, "share": share} for name, share in pairs]
    return Section("influence", "The most influential training items", sentences, tiles, figures=figures)


def _copied(kept: fingerprints.Fingerprints, datum: str) -> Section:
    found = kept.copied(datum)
    pieces = fingerprints.marked(spans.normalised(datum), found)
    share = sum(len(piece) for piece, inside in pieces if inside) / max(1, sum(len(piece) for piece, _ in pieces))
    sentences = [
        f"{share:.0%} of its characters are in spans of at least {spans.COVERING} that also occur in training texts, "
        "up to case and white space. They are marked; each may extend a few characters further.",
    ]
    return Section("copied", "Copied spans", sentences, marked=pieces, figures=list(_longest(kept, found)))


def _longest(kept: fingerprints.Fingerprints, found: list[fingerprints.Copied]) -> Iterator[dict[str, Any]]:
    for span in sorted(found, key=lambda span: span.begin - span.end)[:NEAREST]:
        yield {"characters": span.end - span.begin, "begin": span.begin, "in": kept.names[span.source]}
