"""Publishes a trained model as a starter in the package: in half precision, with a thinned log and a complete card."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from septet import models
from septet.space import Refusal

STARTERS = Path(__file__).parent.parent / "src" / "septet" / "starters"
MOST_BYTES = 12_000_000  # limit on a starter's folder
LOG_ROWS = 600


def publish(
    folder: Path, name: str, facts: dict[str, Any], settings: dict[str, Any], start: Path | None = None
) -> Path:
    """Publishes the model in `folder` as the starter `name`, with `facts` on its card and the sampling settings
    `settings`. Cost and log include those of `start`, the model it was fine-tuned from, if that has the same recipe."""
    model = models.load(folder)
    model.arguments["settings"] = settings
    run, rows = trained(folder, start)
    run |= facts | {"source": None, "name": name}
    files: dict[str, str | bytes] = {"run.json": json.dumps(run, indent=1)}
    if (folder / "previews.png").exists():
        files["previews.png"] = (folder / "previews.png").read_bytes()
    with tempfile.TemporaryDirectory() as temporary:
        log = Path(temporary) / "training.jsonl"
        log.write_text("".join(json.dumps(row) + "\n" for row in thinned(rows)))
        out = models.save(model, STARTERS / name, card=run, log=log, files=files, dtype=torch.float16)
    size = sum(file.stat().st_size for file in out.iterdir())
    if size > MOST_BYTES:
        raise Refusal(f"{out} has {size:,} bytes: a starter has at most {MOST_BYTES:,}; train a smaller model")
    print(f"{out}: {size:,} bytes")
    return out


def trained(folder: Path, start: Path | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The facts and the log of a run, including those of `start` if that has the same recipe."""
    run = json.loads((folder / "run.json").read_text())
    rows = [json.loads(row) for row in (folder / "training.jsonl").read_text().splitlines()]
    if start is None:
        return run, rows
    first, before = trained(start, None)
    if first["recipe"] != run["recipe"]:
        return run, rows
    for row in rows:
        row["elapsed_seconds"] = round(row["elapsed_seconds"] + first["seconds"], 2)
    whole = {"stages": first["stages"] | run["stages"], "seconds": round(first["seconds"] + run["seconds"], 1)}
    return run | whole | {"started_from": first["started_from"]}, before + rows


def thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """About LOG_ROWS rows of a log, including all with a validation loss."""
    every = max(1, len(rows) // LOG_ROWS)
    return [row for index, row in enumerate(rows) if index % every == 0 or "validation_loss" in row]
