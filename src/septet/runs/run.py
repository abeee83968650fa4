"""A training run: the stages of a recipe, with a log, checkpoints and previews, and the model folder at the end.

The run folder, beside the model's, holds what resuming needs; it is removed when the model is saved.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from .. import models, ranks, recipes
from ..data import survey
from ..data.canaries import Planted
from ..devices import device_of
from ..fitting import sizes
from ..fitting.pace import peak_memory_bytes, seconds_of
from ..generator import Generator
from ..originality import evidence
from ..part import Part
from ..processes.streams import checked_seed
from ..recipes import Plan
from ..space import Refusal
from ..storage import whole
from . import checkpoints, resuming
from .previews import Previews
from .stages import Course, Progress, StageRun

COPIES = 5  # of the weights in training: weights, gradients, averages, optimiser state and best weights
SAVED = {models.CARD, models.CONFIG, models.WEIGHTS, models.LOG, "run.json", "previews.png", evidence.EVIDENCE}


def training(
    source: Any, recipe: str | Callable[..., Plan], out: str | Path, budget: str | float | None = None, **arguments: Any
) -> Iterator[Progress]:
    """Trains a model and saves it to the folder `out`; yields a Progress after each step. `arguments` are those of Run,
    and the recipe's options."""
    yield from Run(source, recipe, out, budget, **arguments)


def train(
    source: Any,
    recipe: str | Callable[..., Plan],
    out: str | Path,
    parts: Sequence[type[Part]] = (),
    **arguments: Any,
) -> Generator:
    """Runs `training` to its end and loads the saved model. `parts` are the recipe's classes that are not septet's."""
    for _ in training(source, recipe, out, **arguments):
        pass
    return models.load(str(out), parts=parts)


def run_folder(folder: Path) -> Path:
    """The folder for the checkpoints of a run, until the model in `folder` is finished."""
    return folder.with_name(folder.name + ".run")


class Run:
    """A training run; iterating over it trains.

    Give `budget`, the time for everything, or `steps`, of all stages together. `seed` defaults to 0. `start` is a model
    to fine-tune. `resume` continues an interrupted run: omitted arguments are as in that run, others raise Refusal if
    they differ. `canaries`: see data.canaries. `keep`: "best", the weights with the lowest validation loss, or "last";
    by default as the recipe sets it. `keep_evidence`: see originality.evidence; on by default. `device`: see
    devices.device_of. `began` is the start of a budget's clock, in seconds since the epoch; by default now.
    """

    def __init__(
        self,
        source: Any,
        recipe: str | Callable[..., Plan],
        out: str | Path,
        budget: str | float | None = None,
        steps: int | None = None,
        seed: int | None = None,
        start: Generator | None = None,
        resume: bool = False,
        began: float | None = None,
        checkpoint_seconds: float = 60.0,
        device: str = "auto",
        canaries: int | None = None,
        keep: str | None = None,
        keep_evidence: bool | None = None,
        **options: Any,
    ):
        if (budget is None) == (steps is None) and not (resume and budget is None):
            raise Refusal(f"budget={budget}, steps={steps}: give one of the two")
        if keep not in (None, *resuming.KEEP):
            raise Refusal(f"keep={keep}: expected {' or '.join(resuming.KEEP)}")
        if steps is not None and not 1 <= steps <= resuming.MOST_STEPS:
            raise Refusal(f"steps={steps}: expected 1 to 1,000,000,000")
        self.folder = Path(out)
        if self.folder.name in ("", ".."):
            raise Refusal(f"{out}: expected a folder for the model only, such as models/mine")
        if self.folder.exists() and not self.folder.is_dir():
            raise Refusal(f"{self.folder} is a file; choose another folder for the model")
        models.refuse_foreign(self.folder, SAVED)
        self.source, self.recipe, self.start, self.resume = source, recipes.find(recipe), start, resume
        self.options, self.seed = recipes.checked(self.recipe, options), seed if seed is None else checked_seed(seed)
        self.seconds, self.steps = None if budget is None else seconds_of(budget), steps
        self.device, self.canaries, self.evidence, self.keep = device_of(device), canaries, keep_evidence, keep
        self.root, self.checkpoint_seconds = run_folder(self.folder), checkpoint_seconds
        self.clock = time.monotonic() - (0 if began is None else time.time() - began)

    def __iter__(self) -> Iterator[Progress]:
        """Trains. With several ranks, only rank 0 locks the run folder and writes to it."""
        ranks.join(self.device)
        if not ranks.first():
            yield from self._go()
            return
        made = [folder for folder in (self.root, *self.root.parents) if not folder.exists()]
        try:
            with checkpoints.lock(self.root):
                yield from self._go()
                shutil.rmtree(self.root, ignore_errors=True)
        except Refusal:
            if made and not any(self.root.glob("*/step-*")):
                shutil.rmtree(self.root, ignore_errors=True)
                with suppress(OSError):  # a folder that is not empty stays
                    for folder in made[1:]:
                        folder.rmdir()
            raise

    def _go(self) -> Iterator[Progress]:
        begun = self._begun()
        options, seed, seconds = begun["options"], begun["seed"], begun["seconds"]
        with _bounded(), sizes.on(self.device):
            source = Planted(self.source, begun["canaries"]) if begun.get("canaries") else self.source
            again = begun.get("chosen") or {}
            plan = self.recipe(source, seed=seed, start=self.start, seconds=seconds, **options | again)
        plan.generator.to(self.device)
        if not ranks.same(plan.dataset.fingerprint):
            raise Refusal(f"{self.source}: the data changed while the ranks read them; start again")
        if not self.resume and ranks.first():
            self._empty()
        kept, remark = {}, []
        if begun.get("evidence") is not False and len(plan.dataset.data) and ranks.first():
            kept, remark = self._evidence(plan)
        told = [*plan.dataset.report, *survey.sentences(survey.survey(plan.dataset)), recipes.advised(plan.dataset)]
        told += survey.unread(plan.dataset, plan.generator.conditioner)
        told.append(plan.choice.why and f"{plan.choice.why[0].upper()}{plan.choice.why[1:]}.")
        for sentence in filter(None, [*told, *remark]):
            yield Progress("data", None, 0.0, sentence)
        if self.resume:
            resuming.same_data(begun, plan.dataset.fingerprint, self.source)
        else:
            begun |= {"fingerprint": plan.dataset.fingerprint, "chosen": plan.choice.chosen, "why": plan.choice.why}
            if ranks.first():
                resuming.record(self.root, begun)
        keep, steps, clock = begun.get("keep"), begun["steps"], self.clock
        course = Course(self.root, seconds, steps, seed, self.resume, self.checkpoint_seconds, clock, keep)
        previews = Previews(self.root / "previews.png", plan.previews)
        for index in range(len(plan.stages)):
            yield from StageRun(course, plan, index, previews).go()
        yield self._save(plan, course, previews, begun, kept)

    def _evidence(self, plan: Plan) -> tuple[dict[str, bytes], list[str]]:
        """The evidence file, which later verdicts need, and a sentence if there can be no verdicts."""
        path, told = self.root / evidence.EVIDENCE, []
        if not (self.resume and path.exists()):
            try:
                found = evidence.gather(plan.dataset)
                whole.write(path, evidence.content(found))
                found.verdicts([])  # raises Refusal if there is too little to calibrate on
            except Refusal as error:
                told = [f"Outputs will not be judged for originality: {error}."]
        return {evidence.EVIDENCE: path.read_bytes()} if path.exists() else {}, told

    def _begun(self) -> dict[str, Any]:
        """The arguments of this run; of a resumed run, the stored ones."""
        asked = {"recipe": self.recipe.__name__, "options": self.options, "seed": self.seed, "steps": self.steps}
        asked |= {"seconds": self.seconds, "canaries": self.canaries, "keep": self.keep, "evidence": self.evidence}
        asked |= {"start": None if self.start is None else self.start.digest or "unsaved", "ranks": ranks.world()}
        if self.resume:
            begun = resuming.agreed(self.root, asked, recipes.options(self.recipe))
            recipes.checked(self.recipe, begun["options"] | (begun.get("chosen") or {}))
            return begun
        return asked | {"seed": self.seed or 0}

    def _empty(self) -> None:
        """Empties the run folder for a new run."""
        for left in self.root.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            elif left.name != "lock":
                left.unlink()

    def _save(self, plan: Plan, course: Course, previews: Previews, begun: dict, kept: dict[str, bytes]) -> Progress:
        facts = {
            "recipe": self.recipe.__name__,
            "kind": plan.generator.modality.name,
            "options": begun["options"],
            **{name: begun[name] for name in ("chosen", "why") if begun.get(name)},
            "seed": course.seed,
            "source": str(self.source) if isinstance(self.source, str | Path) else None,
            "started_from": None if self.start is None else self.start.name,
            "fingerprint": plan.dataset.fingerprint,
            "canaries": len(plan.dataset.canaries),
            "training": len(plan.dataset.own),
            "held_out": len(plan.dataset.validation),
            "seconds": round(course.active(), 1),
            "threads": torch.get_num_threads() * ranks.world(),
            "peak_memory_bytes": int(ranks.summed([peak_memory_bytes()])[0]),
            "stages": course.summary,
            **plan.facts,
        }
        files: dict[str, str | bytes] = {"run.json": json.dumps(facts, indent=1), **kept}
        if previews.rows:
            files["previews.png"] = previews.path.read_bytes()
        with ranks.rank_0_before_others():
            if ranks.first():
                models.save(plan.generator, self.folder, card=facts, log=course.log, files=files)
        said = [f"saved {self.folder}", *(f"{name}: {_told(s)}" for name, s in course.summary.items())]
        return Progress("saved", None, 1.0, "; ".join(said), plan.generator)


@contextmanager
def _bounded() -> Iterator[None]:
    """Raises Refusal as soon as a recipe creates a model that is too large for memory."""
    room, total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / ranks.world(), 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal total
        total += 0 if parameter is None else parameter.nbytes * COPIES
        if total > room:
            raise Refusal(f"a model of this size needs more than {room / 1e9:.0f} GB of memory; choose smaller options")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _told(summary: dict[str, Any]) -> str:
    """The result of a stage, in words."""
    loss, steps, kept = summary["validation_loss"], summary["steps"], summary["kept_step"]
    if loss is None:
        return f"{steps:,} steps"
    which = f"; the weights of step {kept:,} were kept, since the validation loss rose after it" if kept < steps else ""
    return f"{steps:,} steps, validation loss {loss:.4f}{which}"
