"""septet audit."""

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import models, openweights
from ..audits import comparison, copying, fidelity, likelihood, page, report
from ..audits.audited import Audited
from ..data.dataset import Dataset
from ..generator import Generator
from ..originality import evidence, lines, nearness, spans
from ..originality.calibration import CLOSE, COPY, Verdict
from ..originality.evidence import Evidence
from ..output import Output, version
from ..processes.settings import takes
from ..space import Refusal
from ..storage import references, whole
from . import reports
from .terminal import cost, live, say, tell
from .trained_on import data_of, run_of, same_data, source_of

SHARED = "The page shows items of the training data: check them before you share it."
COUNT, COMPARED = 200, 100  # outputs of one model, and of each of several
TILE = 16
LENGTH = 256  # most tokens of a text: published models would generate for minutes
PATIENCE_SECONDS, ENOUGH = 300, 50  # sampling ends after this time, once there are this many outputs


@dataclass(frozen=True)
class AuditCommand:
    """The arguments of the command."""

    model: str
    data: Path | None
    count: int | None
    seed: int
    out: Path | None


def audit(request: AuditCommand) -> None:
    """Prints how good the model's outputs are and whether they are copies; writes audit.json and a page."""
    began = time.time()
    audited = measured(request)
    lead, table = list(reports.sentences(audited.figures)), list(reports.table(audited.figures))
    tell("\n".join([*lead, "", *table]))
    target = _write(audited.folder, audited.figures, request.out)
    tell("Writing the page ...", error=True)
    shared = SHARED if len(audited.dataset) else ""
    written = page.write(
        target, f"What {audited.folder.name} learned", [*lead, *filter(None, [shared])], report.sections(audited, table)
    )
    say(f"{shared}\nMade {written}.\nCost: {cost(began)}.", "show", request.model)


def compare(references: list[str], request: AuditCommand) -> None:
    """Audits several models in the same way, and writes one page about all."""
    began = time.time()
    kinds = {_kind(models.resolve(reference)) for reference in references}
    if len(kinds) > 1:
        raise Refusal(f"these models generate {' and '.join(sorted(kinds))}: compare models of one kind")
    alike = replace(request, count=request.count or COMPARED)
    found = [(models.resolve(ref).name, measured(replace(alike, model=ref))) for ref in references]
    lead, sections = comparison.look(found)
    tell("\n".join([*lead, "", *sections[-1].table]))
    target = request.out or Path("made") / "comparison"
    written = page.write(target, f"{', '.join(name for name, _ in found)} compared", lead, sections)
    say(f"\nMade {written}.\nCost: {cost(began)}.", "audit", references[0])


def _kind(folder: Path) -> str:
    if openweights.published(folder):
        return "text"
    arguments = models.config(folder)["arguments"]
    return str((arguments.get("modality") or {}).get("part", "no content")).rpartition(".")[2].lower()


def measured(request: AuditCommand) -> Audited:
    """A model, its outputs, and all figures."""
    if request.count is not None and not 1 <= request.count <= 1_000_000:
        raise Refusal(f"count={request.count}: expected 1 to 1,000,000")
    folder = models.resolve(request.model)
    model, run = models.load(request.model), run_of(folder)
    source, dataset, missing = _data(model, run, request)
    long = model.modality.compares_spans and takes(model.process, "length") and model.process.space.sites > LENGTH
    settings: dict[str, Any] = {"length": LENGTH} if long else {}
    outputs = _drawn(model, dataset, request, settings)
    figures: dict[str, Any] = {
        "septet": version(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": model.digest,
        "source": source and str(source),
        "without_data": missing,
        "same_data": same_data(run, dataset) if source else None,
        "drawn": len(outputs),
        "seed": request.seed,
        "settings": model.settings,
    }
    found, verdicts, judge = _figures(model, dataset, outputs) if source else _by_evidence(model, folder, outputs)
    return Audited(model, folder, run, source, dataset, outputs, verdicts, judge, figures | found, settings)


def _data(model: Generator, run: dict[str, Any], request: AuditCommand) -> tuple[Path | None, Dataset, str | None]:
    """The folder of a model's data, and the data; if they are not available, no items, and the reason."""
    try:
        source = source_of(run, request.data, request.model)
        return source, data_of(model, run, source, named=request.data is not None), None
    except Refusal as error:
        if request.data is not None:
            raise
        known = "; septet show lists the sources of its data" if run.get("sources") else ""
        return None, Dataset([], [], [], model.modality), f"{error}{known}"


def _drawn(model: Generator, dataset: Dataset, request: AuditCommand, settings: dict[str, Any]) -> list[Output]:
    """Outputs for held-out prompts, repeated as often as needed; without data, for prompts in the vocabulary of
    training. A model that takes no prompts gets empty ones."""
    told = [dataset.prompts[i] for i in dataset.validation or dataset.training]
    prompts = model.conditioner.accepted(told or model.conditioner.examples())
    count = request.count or COUNT
    rows = [(prompts[k % len(prompts)], request.seed + k) for k in range(count)]
    outputs: list[Output] = []
    began = said = time.monotonic()
    with live() as bar:
        task = bar.add_task("generating", total=count)
        for moment in model.generating(rows, tile=TILE, **settings):
            outputs += moment.outputs
            bar.update(task, completed=len(outputs))
            if not sys.stderr.isatty() and time.monotonic() - said > 10:
                said = time.monotonic()
                tell(f"generated {len(outputs)} of {count}", error=True)
            slow = time.monotonic() - began > PATIENCE_SECONDS and len(outputs) >= ENOUGH
            if slow and request.count is None:
                tell(f"Sampling is slow: {len(outputs)} outputs instead of {count}; use --count for more.")
                break
    return outputs


def _figures(
    model: Generator, dataset: Dataset, outputs: list[Output]
) -> tuple[dict[str, Any], list[Verdict], Evidence | None]:
    """All figures, the verdict on each output, and the evidence behind the verdicts."""
    made = [output.datum for output in outputs]
    finish, sides = model.modality.postprocess, (dataset.training, dataset.validation)
    training, held_out = ([finish(dataset.data[i]) for i in side] for side in sides)  # in the palette that was learned
    names = [dataset.sources[i] for i in dataset.training]
    figures: dict[str, Any] = {"likelihood": likelihood.measure(model, dataset)}
    if model.modality.listed:
        verdicts = lines.listed(training, held_out, names).verdicts(made)
        return figures | {"originality": _told(outputs, verdicts) | {"listed": True}}, verdicts, None
    if model.modality.compares_spans:
        found, verdicts = _of_text(outputs, training, held_out, names)
        return figures | {"originality": found}, verdicts, None
    try:
        figures["fidelity"] = fidelity.compare(made, training, held_out, model.modality)
    except Refusal as error:
        figures["fidelity"] = {"refused": str(error)}
    verdicts, calibration = [], None
    try:
        calibration = nearness.calibrate(training, held_out, model.modality, names)
        shares = calibration.honest_shares()
        honest = {"items": len(calibration.honest_n), "of_these_held_out": calibration.held_out, **shares}
        verdicts = calibration.verdicts(made)
        found = _told(outputs, verdicts) | {"honest": honest}
    except Refusal as error:
        found = {"refused": str(error)}
    figures["originality"] = found | _of_sets(model, made, training, held_out)
    return figures, verdicts, calibration


def _by_evidence(
    model: Generator, folder: Path, outputs: list[Output]
) -> tuple[dict[str, Any], list[Verdict], Evidence | None]:
    """The figures that are known without the data: verdicts, if the model's folder holds evidence."""
    judge = evidence.load(folder, model.modality)
    if judge is None:
        return {"likelihood": None, "originality": {"refused": reports.NO_EVIDENCE}}, [], None
    verdicts = judge.verdicts([output.datum for output in outputs])
    return {"likelihood": None, "originality": _told(outputs, verdicts)}, verdicts, judge


def _of_text(
    outputs: list[Output], training: list[str], held_out: list[str], names: list[str]
) -> tuple[dict[str, Any], list[Verdict]]:
    texts = [output.text for output in outputs]
    try:
        judged = spans.judge(texts, training, held_out)
    except Refusal as error:
        return {"refused": str(error)} | _longest(spans.copied(texts, training), names), []
    verdicts = judged.verdicts(names)
    honest = {"items": len(judged.held_out), "of_these_held_out": len(judged.held_out), **judged.honest_shares}
    found = _told(outputs, verdicts) | _longest(judged.generated, names) | {"honest": honest}
    return found | {"spans": {"generated": _lengths(judged.generated), "held_out": _lengths(judged.held_out)}}, verdicts


def _longest(found: list[spans.Span], names: list[str]) -> dict[str, Any]:
    span = max(found, key=lambda span: span.length)
    return {"longest_span": {"characters": span.length, "in": names[span.source], "text": span.text[:500]}}


def _lengths(found: list[spans.Span]) -> dict[str, float]:
    lengths = sorted(span.length for span in found)
    covered = sum(span.covered for span in found) / len(found)
    return {"median": lengths[len(lengths) // 2], "longest": lengths[-1], "covered_share": covered}


def _told(outputs: list[Output], verdicts: list[Verdict]) -> dict[str, Any]:
    """The number of verdicts of each kind, and those that are not "new", nearest first."""
    counts = {word: sum(v.word == word for v in verdicts) for word in ("new", "close", "copy")}
    pairs = sorted(zip(verdicts, outputs, strict=True), key=lambda pair: pair[0].p)
    listed = [
        {"prompt": o.record["prompt"], "seed": o.record["seed"], "verdict": str(v), "distance": v.distance, "p": v.p}
        for v, o in pairs
        if v.word != "new"
    ]
    return {"counts": counts, "allowed": {"copy": COPY, "close": CLOSE}, "not_new": listed}


def _of_sets(model: Generator, made: list[Any], training: list[Any], held_out: list[Any]) -> dict[str, Any]:
    """AuthPct and C_T, which need the data."""
    if len(training) < 2 or not held_out:
        return {}
    drawn, unseen, seen = (model.modality.features(data) for data in (made, held_out, training))
    shares = {
        "generated": copying.authentic_share(drawn, seen),
        "held_out": copying.authentic_share(unseen, seen),
    }
    return {"authentic_share": shares, "copying_score": copying.copying_score(drawn, unseen, seen)}


def _write(folder: Path, figures: dict[str, Any], out: Path | None) -> Path:
    """Writes audit.json into the model's folder, or into `out`, or into made/ if the model's folder is not writable.
    Returns the folder for the page."""
    text = json.dumps(figures, indent=1) + "\n"
    ours = folder.parent != references.STARTERS and not openweights.published(folder)
    own = ours and os.access(folder, os.W_OK)
    if out is None and own:
        models.attach(folder, models.AUDIT, text)
        return folder / "audit"
    target = out or Path("made") / f"{folder.name}-audit"
    with whole.refusing(target):
        target.mkdir(parents=True, exist_ok=True)
    whole.write(target / models.AUDIT, text.encode())
    return target
