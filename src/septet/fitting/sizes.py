"""Chooses the network size (width, layers, ...) for a time budget, from the measured time of a training step."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch

from .. import ranks
from ..contracts import Learner
from ..devices import device_of
from ..space import Refusal
from .loop import fit
from .pace import Pace
from .settings import Settings
from .validation import Batches

TIMED = 3  # steps, of which the shortest counts, after one to warm up
USABLE = 0.85  # of a budget; the rest is for reading data, validation, previews and saving
HORIZON = 0.05  # the window of the weight average, as a fraction of the steps
LEAST_AVERAGE = 0.9
MOST = 10**9  # steps

Trial = tuple[Learner, Batches, Settings]
_device: ContextVar[torch.device | None] = ContextVar("device", default=None)


@dataclass(frozen=True)
class Size:
    """A network size: recipe options, and the number of `steps` from which it beats smaller sizes. Its `average` is
    used without a budget; with one, it is computed from the number of steps."""

    name: str
    steps: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """Sizes in ascending order; a step of each takes about twice as long as one of the size before. `fixed` names the
    size without a budget, `largest` the largest that a budget chooses (by default the last)."""

    sizes: Sequence[Size]
    fixed: str
    largest: str | None = None

    @property
    def differing(self) -> set[str]:
        """The names of the options in which sizes differ."""
        first = self.sizes[0].options
        return {name for name in first if any(size.options[name] != first[name] for size in self.sizes)}

    def named(self, name: str) -> Size:
        found = [size for size in self.sizes if size.name == name]
        if not found:
            raise Refusal(f"network={name!r}: expected auto or one of {', '.join(size.name for size in self.sizes)}")
        return found[0]


@dataclass(frozen=True)
class Choice:
    """The `options` chosen for a recipe; `why`, a sentence that explains it, empty without a budget; `steps`, the
    number that fits the budget."""

    options: dict[str, Any]
    why: str = ""
    steps: int | None = None

    @property
    def chosen(self) -> dict[str, Any]:
        """The options to record so that resuming does not choose again; none without a budget."""
        return self.options if self.why else {}


def choose(
    family: Family,
    network: str,
    asked: Mapping[str, Any],
    seconds: float | None,
    trial: Callable[[dict[str, Any]], Trial],
    most: int = MOST,
    timed: Callable[[Trial], float] | None = None,
) -> Choice:
    """Chooses the largest size whose `steps` fit into `seconds`, or the smallest size if none fits. `network` names a
    size, or is "auto". Options in `asked` that are not 0 override those of the size. `trial` builds learner, batches
    and settings from options; `timed` measures the seconds per step. `most`: the maximum number of steps."""
    given = {name: value for name, value in asked.items() if value}
    left, largest = family.differing - set(given), family.named(family.largest or family.sizes[-1].name)
    sizes = family.sizes[: family.sizes.index(largest) + 1]
    if network != "auto" or seconds is None or not left:
        sizes = [family.named(family.fixed if network == "auto" else network)]
    averaged = "average" in asked and "average" not in given
    if seconds is None or not (left or averaged):
        return Choice({**sizes[0].options, **given})
    room, best = seconds * USABLE, None
    for size in sizes:
        least = min(size.steps, most)
        if best is not None and room < least * best[2]:
            break  # a step takes longer than one of the size before: skip the measurement
        options = {**size.options, **given}
        took = (timed or seconds_a_step)(trial(options))
        if best is not None and room < least * took:
            break
        best = size, options, took
    assert best is not None
    size, options, took = best
    steps = max(1, min(most, int(room / took)))
    if averaged:
        options["average"] = round(max(LEAST_AVERAGE, 1 - 1 / max(1.0, HORIZON * steps)), 5)
    name = f"network {size.name}" if left else "the given network"
    shape = ", ".join(f"{name} {value:g}" for name, value in options.items())
    return Choice(options, f"{name} ({shape}): {took:.2g} s per step, about {steps:,} steps", steps)


def seconds_a_step(trial: Trial) -> float:
    """Seconds per training step on this machine under its current load. Trains the learner for a few steps."""
    learner, batches, settings = trial
    learner.to(_device.get() or device_of())
    blind = Settings(settings.rate, optimiser=settings.optimiser, precision=settings.precision, validation_batches=0)
    shortest, began = float("inf"), time.monotonic()
    for step in fit(learner, batches, blind, Pace(steps=TIMED + 1)):
        now = time.monotonic()
        shortest = shortest if step.step == 1 else min(shortest, now - began)
        began = now
    return ranks.agreed(max(shortest, 1e-6))


@contextmanager
def on(device: torch.device) -> Iterator[None]:
    """A context manager that sets the device on which `seconds_a_step` times."""
    token = _device.set(device)
    try:
        yield
    finally:
        _device.reset(token)
