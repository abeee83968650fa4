"""A page that compares several models: outputs for the same prompts and seeds, and figures side by side."""

from collections.abc import Callable, Sequence
from typing import Any

from . import cost
from .audited import Audited
from .page import Section, tile

SHOWN = 8  # outputs of each model
FEATURES = "Longer is better. Based on septet's own frozen features, which do not measure whether an output looks real."


def look(models: Sequence[tuple[str, Audited]]) -> tuple[list[str], list[Section]]:
    """The introduction of the page, in sentences, and its sections; `models` are pairs of display name and audit."""
    first = [
        Section(
            "same",
            "The same prompts and seeds",
            ["One row per model: " + ", ".join(name for name, _ in models) + "."],
            strips=[[tile(a.model.modality, o.datum, name) for o in a.outputs[:SHOWN]] for name, a in models],
        )
    ]
    rows = [_figures(name, audited) for name, audited in models]
    found = [section for section in (_section(rows, *kind) for kind in KINDS) if section is not None]
    lead = [_lead(rows)]
    if len({(audited.run.get("fingerprint"), audited.run.get("seed")) for _, audited in models}) > 1:
        lead.append("They were trained on different data or splits, so their figures are hardly comparable.")
    return lead, [*first, *found, Section("figures", "All figures", table=list(_table(rows)), figures=rows)]


def _figures(name: str, audited: Audited) -> dict[str, Any]:
    verdicts, output = audited.verdicts, cost.of_output(audited)
    fidelity, stages = audited.figures.get("fidelity") or {}, audited.run.get("stages") or {}
    drawn = fidelity.get("generated") or {}
    return {
        "model": name,
        "process": type(audited.model.process).__name__,
        "parameters": audited.model.size,
        "training_seconds": audited.run.get("seconds"),
        "training_steps": sum(stage["steps"] for stage in stages.values()) if stages else None,
        "seconds_an_output": output["seconds"],
        "flop_an_output": output["flop"],
        "coverage": drawn.get("coverage"),
        "precision": drawn.get("precision"),
        "frechet_distance": drawn.get("frechet_distance"),
        "copies": sum(v.word == "copy" for v in verdicts) / len(verdicts) if verdicts else None,
        "validation_loss": (audited.figures.get("likelihood") or {}).get("held_out"),
        "floor": fidelity.get("floor"),
    }


Form = Callable[[float], str]
KINDS: tuple[tuple[str, str, str, bool, Form], ...] = (
    ("coverage", "Coverage of the data's variety", FEATURES, True, lambda x: f"{x:.0%}"),
    ("precision", "Share of outputs that lie among the training data", FEATURES, True, lambda x: f"{x:.0%}"),
    ("copies", "Share of copies", "Shorter is better.", True, lambda x: f"{x:.1%}"),
    ("seconds_an_output", "Time per output", "Shorter is better.", False, lambda x: f"{x:.3g} s"),
)


def _section(
    rows: Sequence[dict[str, Any]], name: str, title: str, words: str, share: bool, form: Form
) -> Section | None:
    """A section with one bar per model. A full bar is 100 % for shares, and the largest value otherwise."""
    known = [(row["model"], row[name]) for row in rows if row[name] is not None]
    if not known:
        return None
    most = 1.0 if share else max(max(value for _, value in known), 1e-9)
    floor = next((row["floor"][name] for row in rows if row["floor"] and name in row["floor"]), None)
    sentences = [words] + ([f"Held-out data reach {form(floor)}."] if floor is not None else [])
    return Section(name, title, sentences, bars=[(model, value / most, form(value)) for model, value in known])


def _lead(rows: Sequence[dict[str, Any]]) -> str:
    known = [row for row in rows if row["coverage"] is not None]
    seconds = {row["training_seconds"] for row in rows}
    equal = None not in seconds and max(seconds) < 1.1 * min(seconds)
    sentence = f"{len(rows)} models" + (f", each trained for about {max(seconds):,.0f} s" if equal else "") + "."
    if known:
        best, fastest = max(known, key=lambda r: r["coverage"]), min(rows, key=lambda r: r["seconds_an_output"])
        sentence += (
            f" {best['model']} covers most of the data's variety ({best['coverage']:.0%}); {fastest['model']} is the "
            "fastest."
        )
    return sentence


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    names = [name for name in rows[0] if name not in ("model", "floor")]
    width = max(16, *(len(row["model"]) + 2 for row in rows))
    lines = [f"{'':20}" + "".join(f"{row['model']:>{width}}" for row in rows)]
    return lines + [
        f"{name.replace('_', ' '):20}" + "".join(f"{_cell(row[name]):>{width}}" for row in rows) for name in names
    ]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
