"""One stage of a training run: training, logging, previews, checkpoints and resuming."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import ranks
from ..devices import device_in, precision_on
from ..fitting import Settings, Step, fit, flops, validate
from ..fitting.pace import Pace
from ..generator import Generator
from ..recipes import Plan
from ..space import Refusal
from ..storage import whole
from . import checkpoints
from .previews import Previews

LOG_SECONDS = 0.5  # least time between two rows of the log
COUNTED = 3  # batches whose operations are counted
LEAST_RESERVE = 0.5  # seconds of a budget for saving and exiting


@dataclass
class Progress:
    """One step of a run. `share` is the completed share of the run; `message` is a sentence on other events (data,
    previews, the saved model)."""

    stage: str
    step: Step | None
    share: float
    message: str | None = None
    model: Generator | None = None


@dataclass
class Course:
    """The settings and the state of a run: `offset` is the number of steps in finished stages, `summary` their results,
    `clock` the time.monotonic() at which the run began, `keep` "best", "last" or None for the stage's own setting."""

    root: Path
    seconds: float | None
    steps: int | None
    seed: int
    resume: bool
    checkpoint_seconds: float
    clock: float
    keep: str | None = None
    before: float = 0.0
    offset: int = 0
    logged: float = 0.0
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.root / "training.jsonl"

    def active(self) -> float:
        """Seconds of training so far, including those before an interruption."""
        return self.before + time.monotonic() - self.clock

    def log_step(self, stage: str, step: Step) -> None:
        """Appends a row to training.jsonl every LOG_SECONDS, at the first and last step, and at every validation. Steps
        are counted over all stages."""
        due = step.step == 1 or step.progress >= 1 or step.validation is not None or step.remarks
        if not ranks.first() or (not due and time.monotonic() - self.logged < LOG_SECONDS):
            return
        self.logged = time.monotonic()
        row: dict[str, Any] = {"step": self.offset + step.step, "elapsed_seconds": round(self.active(), 2)}
        row |= {"stage": stage} | {name: round(value, 5) for name, value in step.losses.items()}
        row["rate"] = round(step.rate, 6)
        if step.validation is not None:
            row["validation_loss"] = round(step.validation, 5)
        if step.remarks:
            row["remarks"] = list(step.remarks)
        with whole.refusing(self.log), open(self.log, "a") as file:
            file.write(json.dumps(row) + "\n")


class StageRun:
    """Stage `index` of a plan."""

    def __init__(self, course: Course, plan: Plan, index: int, previews: Previews):
        self.course, self.plan, self.stage, self.previews = course, plan, plan.stages[index], previews
        shares = [stage.share for stage in plan.stages]
        self.begun, self.whole = sum(shares[:index]) / sum(shares), shares[index] / sum(shares)  # of the whole run
        self.rest = shares[index] / sum(shares[index:])
        self.final = index + 1 == len(shares)
        self.root = course.root / f"{index + 1}-{self.stage.name}"
        self.saved = self.stepped = time.monotonic()
        self.save_seconds = self.validation_seconds = self.step_seconds = 0.0

    def go(self) -> Iterator[Progress]:
        course, stage = self.course, self.stage
        with ranks.rank_0_before_others():
            state, facts = self._restored()
        course.before = max(course.before, facts.get("elapsed_seconds", 0.0))
        if facts.get("finished"):
            stage.learner.load_state_dict(state["learner"])
            stage.learner.eval()
            self._end(facts["summary"])
            return
        self.previews.restore(facts.get("previews", 0))
        batches, pace = stage.batches(), self._pace(facts)
        count, kept = (state["numbers"]["step"], state["numbers"]["best_step"]) if state else (0, 0)
        begun = state["numbers"].get("precision") if state else None
        precision = begun or precision_on(device_in(stage.learner), stage.settings.precision)
        settings, remarks = self._settings(precision), []
        for step in fit(stage.learner, batches, settings, pace, course.seed, state):
            count, kept = step.step, step.best_step
            self._reserve(pace, step)
            course.log_step(stage.name, step)
            remarks += step.remarks
            share, drawn = self.begun + self.whole * step.progress, self._preview(step) if self.final else None
            message = " ".join(filter(None, [*step.remarks, drawn])) or None
            yield Progress(stage.name, step, share, message, self.plan.generator if self.final else None)
            if ranks.first() and time.monotonic() - self.saved > course.checkpoint_seconds and step.progress < 1:
                self._commit(count, step.capture(), pace)
            self.stepped = time.monotonic()  # excludes from the next step what was done since this one
        if pace.most and count >= pace.most:
            remarks.append(f"ended after {count} steps: more would not help")
            yield Progress(stage.name, None, self.begun + self.whole, remarks[-1])
        if not count:
            raise Refusal(f"budget {course.seconds:g}s: no time was left for the stage {stage.name}; give more time")
        loss = validate(stage.learner, batches, 64 if pace.steps else 16, precision)
        some = [batches.at(count * k // COUNTED) for k in range(COUNTED)]
        step = flops.of_steps(stage.learner, some) if stage.learner.players else 0
        flop = None if step is None else step * count * stage.settings.accumulate * ranks.world()
        kept = kept if settings.best and kept else count
        summary = {"steps": count, "validation_loss": loss, "kept_step": kept, "flop": flop, "precision": precision}
        self._end(summary | ({"remarks": remarks} if remarks else {}))
        if not self.final and ranks.first():
            self._commit(count, {"learner": stage.learner.state_dict()}, pace, finished=True)

    def _settings(self, precision: str) -> Settings:
        """The settings of the stage. With a budget, and if the best weights are kept, overfitting stops it early."""
        keep, settings = self.course.keep, self.stage.settings
        best = settings.best if keep is None else keep == "best"
        return replace(settings, best=best, early=best and self.course.steps is None, precision=precision)

    def _end(self, summary: dict[str, Any]) -> None:
        if self.stage.after:
            self.stage.after()
        ranks.broadcast_weights(self.plan.generator)
        self.course.summary[self.stage.name] = summary
        self.course.offset += summary["steps"]

    def _pace(self, facts: dict) -> Pace:
        course = self.course
        began = ranks.agreed(facts.get("stage_before", course.active()))
        if course.steps is not None:
            return Pace(steps=max(1, round(course.steps * self.whole)), before=course.active(), stage_before=began)
        assert course.seconds is not None
        end = began + (course.seconds - began) * self.rest
        if end - began < 1:
            raise Refusal(f"budget {course.seconds:g}s: {began:.0f} s passed before this stage; give more time")
        reserve, most = 2.0 if self.final else 0.0, self.stage.most
        return Pace(seconds=end, before=course.active(), stage_before=began, reserve_seconds=reserve, most=most)

    def _reserve(self, pace: Pace, step: Step) -> None:
        """With a budget, reserves time for the work after the last step: two validations, a preview, saving."""
        took = time.monotonic() - self.stepped
        if step.validation is None:
            self.step_seconds = took
        elif self.step_seconds:  # the first step is not representative: it loads code
            self.validation_seconds = max(0.0, took - self.step_seconds)
        if self.final and pace.steps is None:
            after = 2.2 * self.validation_seconds + 1.5 * self.previews.seconds + self.save_seconds / 2
            after += 2 * self.step_seconds  # to count a step's operations
            pace.reserve_seconds = LEAST_RESERVE + after

    def _preview(self, step: Step) -> str | None:
        course = self.course
        if not ranks.first() or not self.previews.due(
            step.progress, None if course.seconds is None else course.active()
        ):
            return None
        with step.averaged():
            if self.stage.after:
                self.stage.after()
            self.previews.draw(self.plan.generator, step.progress)
        return f"generated the preview ({self.previews.path})"

    def _restored(self) -> tuple[Any, dict]:
        if not self.course.resume:
            return None, {}
        found = checkpoints.latest(self.root)
        tensors, facts = ({}, {}) if found is None else found
        if ranks.first() and not facts.get("finished"):
            checkpoints.truncate_log(self.course.log, facts.get("row", self.course.offset))
        return (checkpoints.unflatten(tensors, facts["skeleton"]) if facts else None), facts

    def _commit(self, count: int, state: dict, pace: Pace, finished: bool = False) -> None:
        began, course = time.monotonic(), self.course
        tensors, skeleton = checkpoints.flatten(state)
        facts = {"skeleton": skeleton, "elapsed_seconds": course.active(), "stage_before": pace.stage_before}
        facts |= {"row": course.offset + (0 if finished else count), "previews": len(self.previews.rows)}
        facts |= {"finished": finished, "summary": course.summary.get(self.stage.name)}
        checkpoints.commit(self.root, count, tensors, facts)
        self.saved = time.monotonic()
        self.save_seconds = self.saved - began
