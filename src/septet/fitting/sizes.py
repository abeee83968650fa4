"""A size for the time there is: width, depth and the like follow from a budget and from how long a step takes here."""

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

TIMED = 3  # steps, of which the shortest counts, after a first that loads much
USABLE = 0.85  # of a budget: the rest goes into reading, validating, previews and saving
HORIZON = 0.05  # of the steps, over which weights are averaged
LEAST_AVERAGE = 0.9
MOST = 10**9  # steps

Trial = tuple[Learner, Batches, Settings]
_device: ContextVar[torch.device | None] = ContextVar("device", default=None)


@dataclass(frozen=True)
class Size:
    """One of a family: the options of a recipe that make it, and the fewest steps in which it is worth its cost. Its
    `average` holds where there is no budget; else that follows from the steps."""

    name: str
    steps: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """Sizes from the smallest up, a step of each taking about twice as long as one of the size before; `fixed` is taken
    where there is no budget."""

    sizes: Sequence[Size]
    fixed: str

    @property
    def differing(self) -> set[str]:
        """The options in which sizes differ."""
        first = self.sizes[0].options
        return {name for name in first if any(size.options[name] != first[name] for size in self.sizes)}

    def named(self, name: str) -> Size:
        found = [size for size in self.sizes if size.name == name]
        if not found:
            raise Refusal(f"network={name!r}: expected auto or one of {', '.join(size.name for size in self.sizes)}")
        return found[0]


@dataclass(frozen=True)
class Choice:
    """`options` of a recipe, with which it makes the same again without choosing; `why` in a sentence, empty without a
    budget; `steps` that the budget has room for."""

    options: dict[str, Any]
    why: str = ""
    steps: int | None = None

    @property
    def chosen(self) -> dict[str, Any]:
        """The options that a budget chose, to be recorded; none without a budget, which needs no choice again."""
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
    """The largest size that has room for its `steps` in `seconds`; the smallest, if none has. `network` names a size or
    is "auto". An option `asked` for replaces the size's own, unless it is 0. `trial` makes what is trained of options,
    `timed` tells how long a step of it takes; no size takes more than `most` steps."""
    given = {name: value for name, value in asked.items() if value}
    sizes, left = family.sizes, family.differing - set(given)
    if network != "auto" or seconds is None or not left:
        sizes = [family.named(family.fixed if network == "auto" else network)]
    averaged = "average" in asked and "average" not in given
    if seconds is None or not (left or averaged):
        return Choice({**sizes[0].options, **given})
    room, best = seconds * USABLE, None
    for size in sizes:
        least = min(size.steps, most)
        if best is not None and room < least * best[2]:
            break  # it takes longer than the size before: no need to try
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
    name = f"network {size.name}" if left else "the network asked for"
    shape = ", ".join(f"{name} {value:g}" for name, value in options.items())
    return Choice(options, f"{name} ({shape}): at {took:.2g} s a step, about {steps:,} steps", steps)


def seconds_a_step(trial: Trial) -> float:
    """How long a step of training takes on this machine, as busy as it is now. What is tried has learned from it."""
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
    """Steps are timed on that device meanwhile."""
    token = _device.set(device)
    try:
        yield
    finally:
        _device.reset(token)
