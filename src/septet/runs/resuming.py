"""What a run began with, kept in its folder, so that it goes on as the same run or says why it cannot."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..fitting.pace import MOST_SECONDS
from ..folders import whole
from ..processes.streams import checked_seed
from ..space import Refusal

RUN = "run.json"
BEGUN: dict[str, Any] = {
    "recipe": str,
    "options": dict,
    "seed": int,
    "steps": int | None,
    "seconds": int | float | None,
    "start": str | None,
    "fingerprint": str,
}
BESIDE: dict[str, Any] = {  # that may be absent
    "canaries": int | None,
    "keep": str | None,
    "evidence": bool | None,
    "ranks": int | None,
    "chosen": dict | None,  # options, by the time there was
    "why": str | None,
}
MOST_STEPS = 10**9
KEEP = ("best", "last")  # weights


def record(root: Path, begun: Mapping[str, Any]) -> None:
    """Keeps what a run begins with: recipe, options, seed, steps or budget, the model it starts from, its data."""
    whole.write(root / RUN, json.dumps(begun, indent=1, default=str).encode())


def recorded(root: Path) -> dict[str, Any]:
    """What the run in `root` began with."""
    try:
        begun = whole.read_json(root / RUN, 1 << 20)
        if not isinstance(begun, dict) or not _is_run(begun):
            raise ValueError("it records no run")
        checked_seed(begun["seed"])
        return begun
    except FileNotFoundError as error:
        raise Refusal(f"{root}: nothing to resume; train without --resume") from error
    except Refusal:
        raise
    except (OSError, ValueError) as error:
        raise Refusal(f"{root / RUN} cannot be read ({error}); train without --resume") from error


def _is_run(begun: dict[str, Any]) -> bool:
    """Whether a run can have begun so: `steps` or `seconds`, and all of its kind."""
    here = all(name in begun and isinstance(begun[name], kind) for name, kind in BEGUN.items())
    if not here or not all(isinstance(begun.get(name), kind) for name, kind in BESIDE.items()):
        return False
    steps, seconds = begun["steps"], begun["seconds"]
    if (steps is None) == (seconds is None) or begun.get("keep") not in (None, *KEEP):
        return False
    return 1 <= steps <= MOST_STEPS if seconds is None else 0 < seconds <= MOST_SECONDS


def agreed(root: Path, asked: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What the run in `root` began with. What is asked for differently is refused; None, or an option left out, asks
    for what was. `defaults` are the options of the recipe."""
    begun: dict[str, Any] = {"ranks": 1} | recorded(root)
    if begun["ranks"] != asked["ranks"]:
        raise Refusal(f"{root}: this run has {begun['ranks']} ranks, not {asked['ranks']}; start as many with torchrun")
    for name, value in asked.items():
        if name not in ("options", "ranks") and value is not None and value != begun.get(name):
            raise Refusal(_differs(name, value, begun.get(name)))
    for name, value in asked["options"].items():
        was = begun["options"].get(name, defaults.get(name))
        if value != was:
            raise Refusal(_differs(name, value, was))
    if begun["start"] is not None and asked["start"] is None:
        raise Refusal(f"this run began from the model {begun['start']}: give that again with --from")
    return begun


def same_data(begun: Mapping[str, Any], fingerprint: str, source: Any) -> None:
    """Refuses to go on with other data."""
    if begun["fingerprint"] != fingerprint:
        raise Refusal(f"{source}: the data have changed since the run began; train without --resume to begin again")


def _differs(name: str, value: Any, was: Any) -> str:
    return f"{name}={value}: the run to resume has {name}={was}; leave it out, or train without --resume"
