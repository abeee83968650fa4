"""Section of the audit page: samples and losses over the course of training."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..models import LOG
from ..runs.previews import MOMENTS, cut
from ..space import Refusal
from ..storage.pictures import opened, shown
from . import charts
from .audited import Audited
from .page import Section, Tile

BINS = 150  # points of a loss curve
LOG_BYTES = 256 << 20


def view(audited: Audited) -> Section | None:
    """Samples of the same seeds over training, with a slider, and loss curves; None if neither was kept."""
    frames, curves = list(_frames(audited.folder / "previews.png")), _curves(audited.folder / LOG)
    if not frames and not curves:
        return None
    sentences = ["Samples for the same prompts and seeds at moments during training."] if frames else []
    sentences += (
        [_overfitting(curves["validation"], _kept_before_the_end(audited.run))] if curves.get("validation") else []
    )
    chart = charts.lines(curves, "seconds", "loss")
    return Section("training", "Over training", sentences, frames=frames, chart=chart, figures=curves)


def _frames(path: Path) -> Iterator[Tile]:
    if not path.is_file():
        return
    try:
        whole = opened(path, lambda picture: picture.convert("RGB"))
    except Refusal:
        return
    for row, moment in zip(cut(whole, len(MOMENTS)), MOMENTS, strict=False):
        yield Tile(shown(row), f"after {moment:.0%} of training")


def _curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Training loss, in means of bins, and validation loss of the last stage, by seconds."""
    rows = list(_rows(path))
    last = rows[-1].get("stage") if rows else None
    rows = [row for row in rows if row.get("stage") == last]
    name = next((key for key in (rows[-1] if rows else {}) if key == "loss" or key.endswith("_loss")), None)
    loss = [(float(row["elapsed_seconds"]), float(row[name])) for row in rows if name in row] if name else []
    held_out = [(float(r["elapsed_seconds"]), float(r["validation_loss"])) for r in rows if "validation_loss" in r]
    size = -(-len(loss) // BINS) or 1
    groups = [loss[begin : begin + size] for begin in range(0, len(loss), size)]
    means = [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
    return {key: line for key, line in (("training", means), ("validation", held_out)) if line}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file() or path.stat().st_size > LOG_BYTES:
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("elapsed_seconds"), int | float):
            yield row


def _kept_before_the_end(run: Mapping[str, Any]) -> bool:
    """Whether the model has the weights of an earlier step than the last one of the last stage."""
    *_, last = (run.get("stages") or {"": {}}).values()
    return (last.get("kept_step") or 0) < (last.get("steps") or 0)


def _overfitting(held_out: list[tuple[float, float]], kept: bool) -> str:
    best = min(held_out, key=lambda point: point[1])
    if best[0] < 0.9 * held_out[-1][0] and held_out[-1][1] > 1.01 * best[1]:
        return (
            f"The validation loss was lowest after {best[0]:,.0f} s and rose afterwards: the model began to overfit."
            + " The weights with the lowest validation loss were kept." * kept
        )
    if held_out[-1][1] < 0.99 * held_out[len(held_out) * 3 // 4][1]:
        return "The validation loss was still falling at the end: longer training would improve the model."
    return "The validation loss had levelled off at the end."
