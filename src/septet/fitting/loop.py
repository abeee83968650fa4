"""fit(): the only training loop. A generator that yields after each step, so that the caller decides when to log,
save, preview or stop."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .. import ranks
from ..backbones.compiling import Checked
from ..contracts import Learner
from ..devices import device_in, moved, precise, precision_on
from ..space import Refusal
from .divergence import reason
from .optimisers import Averages, Muon, enable, hidden_matrices, scale_at
from .pace import Pace
from .settings import Settings
from .validation import Batches, only_rises, validate

FEWEST = 10  # steps between two validations
STREAMS = 32  # random seeds per step and player, one per batch


@dataclass
class Step:
    """The result of one training step. `losses` by name; `validation` is the validation loss in nats (or the process's
    unit), None if it was not measured at this step; `best_step` is the step with the lowest one, 0 before any.
    `capture()` returns the state to resume from. `averaged()` is a context manager in which the learner has its
    averaged weights. `remarks` are messages about anything unusual."""

    step: int
    progress: float
    elapsed_seconds: float
    rate: float
    losses: dict[str, float]
    validation: float | None
    best_step: int
    capture: Callable[[], dict[str, Any]]
    averaged: Callable[[], Any]
    remarks: Sequence[str] = ()

    @property
    def best(self) -> bool:
        return self.best_step == self.step


def fit(
    learner: Learner,
    batches: Batches,
    settings: Settings,
    pace: Pace,
    seed: int = 0,
    state: dict[str, Any] | None = None,
) -> Iterator[Step]:
    """Trains until `pace` ends. `state`, returned by `Step.capture`, resumes a run. At the end the learner has its
    averaged weights: those with the lowest validation loss if `settings.best`, else the last. Raises Refusal if the
    loss is not finite. Under torchrun, each rank trains on its own batches, and all end with the same weights."""
    ranks.join(device_in(learner))
    ranks.broadcast_weights(learner)
    ranks.refuse_more_than(getattr(batches, "per_epoch", None))
    loop = _Loop(learner, settings, seed)
    if state is not None:
        loop.restore(state)
    learner.train()
    ahead = pace.progress(loop.step)
    while (progress := max(ahead, pace.progress(loop.step))) < 1:
        losses, rate = loop.advance(batches, progress)
        ahead = pace.progress(loop.step)
        validation, now = loop.validate_if_due(batches, ahead, pace), pace.elapsed()
        ahead = 1.0 if loop.ends_early(validation) else ahead
        found = (loop.best_step, loop.capture, loop.averaged, tuple(loop.remarks))
        yield Step(loop.step, ahead, now, rate, losses, validation, *found)
    loop.finish()


class _Loop:
    def __init__(self, learner: Learner, settings: Settings, seed: int):
        self.learner, self.settings, self.seed, self.step = learner, settings, seed, 0
        self.parameters = {player: learner.parameters_of(player) for player in learner.players}
        self.optimisers = {player: self._optimiser(p) for player, p in self.parameters.items()}
        averaged = [p for player in learner.averaged for p in self.parameters[player]]
        self.averages = Averages(averaged, settings.average)
        self.best: list[Tensor] | None = None
        self.best_loss, self.best_step, self.last_loss = float("inf"), 0, float("inf")
        self.validation_seconds = self.due = 0.0
        self.rises = 0  # validations since the best
        self.precision = precision_on(device_in(learner), settings.precision)
        self.batches = settings.accumulate * ranks.world()  # per step
        if ranks.world() > 1 and self.batches > STREAMS:
            raise Refusal(f"{ranks.world()} ranks are too many: expected at most {STREAMS // settings.accumulate}")
        self.remarks: list[str] = []
        checked = Checked(self.remarks.append)
        for block in (b for part in learner.modules() for b in getattr(part, "blocks", []) if settings.compile):
            block.compile(backend=checked)  # in place: the names of parameters stay as they were

    def _optimiser(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        s = self.settings
        matrices = hidden_matrices(self.learner) if s.optimiser == "muon" else set()
        share = s.share if s.optimiser == "muon" else 1.0
        return Muon(parameters, matrices, s.rate, share, s.weight_decay, betas=s.betas)

    def advance(self, batches: Batches, progress: float) -> tuple[dict[str, float], float]:
        """One update of every player."""
        self.remarks.clear()
        losses: dict[str, float] = {}
        versions = [buffer._version for buffer in self.learner.buffers()]
        scale = scale_at(progress, self.settings.warmup, self.settings.decay)
        for turn, player in enumerate(self.learner.players):
            enable(self.parameters, player)
            figures = self._update(batches, player, turn, progress, scale)
            losses |= figures if len(self.learner.players) == 1 else {f"{player}_{k}": v for k, v in figures.items()}
        enable(self.parameters, None)
        written = zip(self.learner.buffers(), versions, strict=True)
        ranks.average(buffer for buffer, version in written if buffer._version != version)
        self.averages.update()
        self.step += 1
        return losses, self.settings.rate * scale

    def _update(self, batches: Batches, player: str, turn: int, progress: float, scale: float) -> dict[str, float]:
        s, sums = self.settings, {}
        for k in range(ranks.rank(), self.batches, ranks.world()):
            batch = moved(batches.at(self.step * self.batches + k), device_in(self.learner))
            run = partial(self._loss, batch, player, progress, turn * STREAMS + k)
            total, figures = run(self.precision)
            figures = ranks.mean({"loss": total} | figures)
            self._refuse_unless_finite("loss", figures["loss"], run)
            (total / self.batches).backward()
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value / s.accumulate
        ranks.sum_gradients(self.parameters[player])
        if s.clip is not None:
            norm = nn.utils.clip_grad_norm_(self.parameters[player], s.clip)
            self._refuse_unless_finite("gradient", float(norm), run)
        optimiser = self.optimisers[player]
        for group in optimiser.param_groups:
            group["scale"] = scale
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return sums

    def _loss(self, batch: dict[str, Any], player: str, progress: float, stream: int, precision: str):
        torch.manual_seed(((self.seed * 1_000_003 + self.step) * 64 + stream) % 2**63)
        with precise(self.learner, precision):
            return self.learner(batch, player, progress)

    def _refuse_unless_finite(self, name: str, value: float, run: Callable[[str], Any]) -> None:
        if not math.isfinite(value):
            s, what = self.settings, f"the {name} became {value}"
            raise Refusal(reason(what, self.step, s.rate, s.compile, self.learner, lambda: run("fp32")[0]))

    def validate_if_due(self, batches: Batches, progress: float, pace: Pace) -> float | None:
        """The validation loss if due, else None. On a wall-clock budget, validation takes at most 5 % of the time."""
        often = self.settings.validations if pace.steps is None else min(self.settings.validations, pace.steps / FEWEST)
        self.due = self.due or min(1.0, 1 / often)
        if progress < self.due or (progress < 1 and pace.steps is None and self._busy(pace)):
            return None
        self.due = min(1.0, (int(progress * often + 1e-9) + 1) / often)
        began = time.monotonic()
        with self.averaged():
            loss = validate(self.learner, batches, self.settings.validation_batches, self.precision)
        self.validation_seconds += time.monotonic() - began
        self.last_loss = self.last_loss if loss is None else loss
        self.rises = 0 if loss is None or loss < self.best_loss else self.rises + 1
        if loss is not None and loss < self.best_loss:
            self.best_loss, self.best_step = loss, self.step
            self.best = [value.clone() for value in self.averages.values]
        return loss

    def _busy(self, pace: Pace) -> bool:
        return bool(ranks.agreed(self.validation_seconds > 0.05 * pace.elapsed()))

    def ends_early(self, validation: float | None) -> bool:
        """Whether more training would only overfit; adds a remark if so."""
        numbers = (self.rises, self.step, self.best_step, self.best_loss, self.last_loss)
        if validation is None or not self.settings.early or not only_rises(*numbers):
            return False
        since = f"the validation loss has only risen since step {self.best_step:,}"
        self.remarks.append(f"Ended early, after {self.step:,} steps: {since}.")
        return True

    @contextmanager
    def averaged(self):
        """The learner in evaluation mode with its averaged weights."""
        self.averages.swap()
        self.learner.eval()
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                yield self.learner
        finally:
            self.learner.train()
            self.averages.swap()

    def finish(self) -> None:
        self.averages.swap()
        if self.settings.best and self.best is not None and self.best_loss < self.last_loss:
            for parameter, value in zip(self.averages.parameters, self.best, strict=True):
                parameter.data.copy_(value)
        self.learner.eval()

    def capture(self) -> dict[str, Any]:
        """The state to resume from. Random streams are not in it: they follow from seed and step."""
        numbers = ("step", "best_loss", "best_step", "last_loss", "rises", "due", "validation_seconds", "precision")
        return {
            "learner": self.learner.state_dict(),
            "optimisers": {player: optimiser.state_dict() for player, optimiser in self.optimisers.items()},
            "averages": list(self.averages.values),
            "average_count": self.averages.count,
            "best": self.best,
            "numbers": {name: getattr(self, name) for name in numbers},
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.learner.load_state_dict(state["learner"])
        for player, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][player])
        for value, saved in zip(self.averages.values, state["averages"], strict=True):
            value.copy_(saved)
        self.averages.count, self.best = state["average_count"], state["best"]
        for name, value in state["numbers"].items():
            setattr(self, name, value)
