"""A training run: a recipe's stages one after another, with a log, checkpoints and previews; at its end, a model folder.

The run's own folder, beside the model's, holds what resuming needs and is removed when the model is saved.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import checkpoints, folders, models
from .fitting import Step, fit, validate
from .generator import Generator
from .pace import Pace
from .recipes import Plan, Stage, find
from .space import Refusal

MOMENTS = [10 ** (-2 + 2 * k / 11) for k in range(12)]  # shares of the time at which the previews are drawn
UNITS = {"h": 3600, "m": 60, "s": 1}


@dataclass
class Progress:
    """One step of a run, as its caller sees it. `message` says what happened besides, in a sentence."""

    stage: str
    step: Step | None
    share: float  # of the whole run
    message: str | None = None
    model: Generator | None = None


def seconds_of(budget: str | float) -> float:
    """Seconds of "90s", "20m" or "1h30m"; numbers are seconds."""
    text = str(budget).strip()
    if isinstance(budget, int | float) or re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(budget)
    elif re.fullmatch(r"(\d+(\.\d+)?[hms])+", text):
        seconds = sum(float(n) * UNITS[u] for n, _, u in re.findall(r"(\d+(\.\d+)?)([hms])", text))
    else:
        raise Refusal(f"budget {budget!r}: expected a time such as 90s, 20m or 1h30m")
    if not 5 <= seconds <= 30 * 86400:
        raise Refusal(f"budget {budget!r}: expected 5 seconds to 30 days")
    return seconds


def training(
    source: Any,
    recipe: str | Callable[..., Plan],
    out: str | Path,
    budget: str | float | None = None,
    steps: int | None = None,
    seed: int = 0,
    start: Generator | None = None,
    resume: bool = False,
    began: float | None = None,
    **options: Any,
) -> Iterator[Progress]:
    """Train and save a model into the folder `out`, a Progress after each step. `began` is when a budget's clock
    started, seconds since the epoch; now, if left out."""
    if (budget is None) == (steps is None):
        raise Refusal(f"budget={budget}, steps={steps}: give one of the two")
    if steps is not None and not 1 <= steps <= 10**9:
        raise Refusal(f"steps={steps}: expected 1 to 1,000,000,000")
    seconds = None if budget is None else seconds_of(budget)
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"{folder} is a file; choose another folder for the model")
    with checkpoints.lock(run_folder(folder)):
        yield from _Run(source, find(recipe), folder, seconds, steps, seed, start, resume, began, options).go()
    shutil.rmtree(run_folder(folder), ignore_errors=True)


def train(source: Any, recipe: str | Callable[..., Plan], out: str | Path, **arguments: Any) -> Generator:
    """`training` to its end; returns the saved model."""
    for _ in training(source, recipe, out, **arguments):
        pass
    return models.load(str(out))


def run_folder(folder: Path) -> Path:
    """Where a run keeps its checkpoints until the model in `folder` is finished."""
    return folder.with_name(folder.name + ".run")


class _Run:
    CHECKPOINT_SECONDS = 60.0

    def __init__(self, source, recipe, folder, seconds, steps, seed, start, resume, began, options):
        self.folder, self.root = folder, run_folder(folder)
        self.seconds, self.steps, self.seed = seconds, steps, seed
        self.clock = time.monotonic() - (0 if began is None else time.time() - began)
        self.source, self.recipe, self.options, self.resume = source, recipe, options, resume
        self.start, self.before, self.last_log, self.preview_seconds = start, 0.0, 0.0, 0.0
        self.sheets: list[Any] = []
        self.log = self.root / "training.jsonl"

    def active(self) -> float:
        """Seconds this run has been worked on, before an interruption included."""
        return self.before + time.monotonic() - self.clock

    def go(self) -> Iterator[Progress]:
        if self.resume and not any(self.root.glob("*/step-*")):
            raise Refusal(f"{self.root}: nothing to resume; train without --resume")
        if not self.resume:
            for left in self.root.iterdir():
                if left.is_dir():
                    shutil.rmtree(left)
            self.log.unlink(missing_ok=True)
        plan = self.recipe(self.source, seed=self.seed, start=self.start, seconds=self.seconds, **self.options)
        for sentence in plan.dataset.report:
            yield Progress("data", None, 0.0, sentence)
        summary: dict[str, Any] = {}
        shares = [stage.share for stage in plan.stages]
        for index, stage in enumerate(plan.stages):
            yield from self._stage(plan, index, stage, sum(shares[:index]) / sum(shares), sum(shares[index:]), summary)
        yield self._save(plan, summary)

    def _stage(self, plan: Plan, index: int, stage: Stage, begun: float, left: float, summary: dict):
        root = self.root / f"{index + 1}-{stage.name}"
        root.mkdir(parents=True, exist_ok=True)
        state, facts = self._restored(root)
        if facts.get("finished"):
            stage.learner.load_state_dict(state["learner"])
            stage.learner.eval()
            if stage.after:
                stage.after()
            return
        self.before = max(self.before, facts.get("elapsed_seconds", 0.0))
        batches, final = stage.batches(), index + 1 == len(plan.stages)
        pace = self._pace(stage, left, facts, final)
        fitting = fit(stage.learner, batches, stage.settings, pace, self.seed, state)
        saved, whole, step = time.monotonic(), stage.share / left * (1 - begun), None
        for step in fitting:
            if pace.steps is None and final:
                pace.reserve_seconds = max(pace.reserve_seconds, 1.0 + 1.2 * self.preview_seconds)
            self._log(stage, step)
            message = self._preview(plan, stage, step) if final else None
            yield Progress(stage.name, step, begun + whole * step.progress, message, plan.generator if final else None)
            if time.monotonic() - saved > self.CHECKPOINT_SECONDS and step.progress < 1:
                self._commit(root, step.step, step.capture(), pace, False)
                saved = time.monotonic()
        if stage.after:
            stage.after()
        loss = validate(stage.learner, batches, 64 if self.seconds is None else 16, stage.settings.precision)
        summary[stage.name] = {"steps": step.step if step else 0, "validation_loss": loss}
        if not final:
            self._commit(root, step.step if step else 0, {"learner": stage.learner.state_dict()}, pace, True)

    def _pace(self, stage: Stage, left: float, facts: dict, final: bool) -> Pace:
        began = facts.get("stage_before", self.active())
        if self.steps is not None:
            share = stage.share / left if not final else 1.0
            return Pace(steps=max(1, round(self.steps * share)), before=self.active(), stage_before=began)
        assert self.seconds is not None
        end = began + (self.seconds - began) * (stage.share / left)
        if end - began < 1:
            raise Refusal(f"budget {self.seconds:g}s: reading the data took {began:.0f} s of it; give more time")
        return Pace(seconds=end, before=self.active(), stage_before=began, reserve_seconds=2.0 if final else 0.0)

    def _restored(self, root: Path) -> tuple[Any, dict]:
        found = checkpoints.latest(root) if self.resume else None
        if found is None:
            return None, {}
        tensors, facts = found
        checkpoints.truncate_log(self.log, facts["row"])
        return checkpoints.unflatten(tensors, facts["skeleton"]), facts

    def _commit(self, root: Path, step: int, state: dict, pace: Pace, finished: bool) -> None:
        tensors, skeleton = checkpoints.flatten(state)
        facts = {"skeleton": skeleton, "elapsed_seconds": self.active(), "stage_before": pace.stage_before}
        checkpoints.commit(root, step, tensors, facts | {"finished": finished, "row": step})

    def _log(self, stage: Stage, step: Step) -> None:
        if step.validation is None and time.monotonic() - self.last_log < 0.5:
            return
        self.last_log = time.monotonic()
        row: dict[str, Any] = {"step": step.step, "elapsed_seconds": round(self.active(), 2), "stage": stage.name}
        row |= {name: round(value, 5) for name, value in step.losses.items()} | {"rate": round(step.rate, 6)}
        if step.validation is not None:
            row["validation_loss"] = round(step.validation, 5)
        with folders.refusing(self.log), open(self.log, "a") as file:
            file.write(json.dumps(row) + "\n")

    def _preview(self, plan: Plan, stage: Stage, step: Step) -> str | None:
        """The same seeds drawn again, at twelve moments; fewer where they would take over a twentieth of the time."""
        due = sum(moment <= step.progress + 1e-9 for moment in MOMENTS)
        if not plan.previews or due <= len(self.sheets):
            return None
        busy = self.seconds is not None and 20 * self.preview_seconds * (len(self.sheets) + 1) > self.active()
        if busy and step.progress < 1:
            return None
        began = time.monotonic()
        with step.averaged():
            if stage.after:
                stage.after()
            drawn = plan.generator.generate(plan.previews, seed=0, tile=len(plan.previews))
            self.sheets += [drawn.sheet(96, columns=len(drawn))] * (due - len(self.sheets))
        self.preview_seconds = time.monotonic() - began
        folders.write(self.root / "previews.png", _stacked(self.sheets))
        return f"drew the preview ({self.root / 'previews.png'})"

    def _save(self, plan: Plan, summary: dict) -> Progress:
        best = {name: s["validation_loss"] for name, s in summary.items()}
        run = {
            "recipe": self.recipe.__name__,
            "options": self.options,
            "seed": self.seed,
            "source": str(self.source) if isinstance(self.source, str | Path) else None,
            "started_from": None if self.start is None else self.start.name,
            "fingerprint": plan.dataset.fingerprint,
            "training": len(plan.dataset.training),
            "held_out": len(plan.dataset.validation),
            "seconds": round(self.active(), 1),
            "stages": summary,
            **plan.facts,
        }
        files: dict[str, str | bytes] = {"run.json": json.dumps(run, indent=1)}
        previews = self.root / "previews.png"
        if previews.exists():
            files["previews.png"] = previews.read_bytes()
        models.save(plan.generator, self.folder, card=run, log=self.log, files=files)
        figures = ", ".join(f"{n} {v:.4f}" for n, v in best.items() if v is not None) or "none measured"
        return Progress("saved", None, 1.0, f"saved {self.folder}; held-out loss: {figures}", plan.generator)


def _stacked(sheets: list[Any]) -> bytes:
    """The sheets one below another, as a PNG."""
    import io

    from PIL import Image

    whole = Image.new("RGBA", (max(s.width for s in sheets), sum(s.height for s in sheets)), "white")
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    stream = io.BytesIO()
    whole.convert("RGB").save(stream, "PNG")
    return stream.getvalue()
