"""The arguments of a run, stored in its folder, so that it is resumed with the same ones or refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..fitting.pace import MOST_SECONDS
from ..processes.streams import checked_seed
from ..space import Refusal
from ..storage import whole

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
BESIDE: dict[str, Any] = {  # optional
    "canaries": int | None,
    "keep": str | None,
    "evidence": bool | None,
    "ranks": int | None,
    "chosen": dict | None,  # options that follow from the budget
    "why": str | None,
}
MOST_STEPS = 10**9
KEEP = ("best", "last")  # weights


def record(root: Path, begun: Mapping[str, Any]) -> None:
    """Stores the arguments of a run: recipe, options, seed, steps or budget, the model it starts from, its data."""
    whole.write(root / RUN, json.dumps(begun, indent=1, default=str).encode())


def recorded(root: Path) -> dict[str, Any]:
    """Reads the arguments of the run in `root`; raises Refusal if there is none."""
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
    """Whether these are valid arguments: `steps` or `seconds`, and all of the right types."""
    here = all(name in begun and isinstance(begun[name], kind) for name, kind in BEGUN.items())
    if not here or not all(isinstance(begun.get(name), kind) for name, kind in BESIDE.items()):
        return False
    steps, seconds = begun["steps"], begun["seconds"]
    if (steps is None) == (seconds is None) or begun.get("keep") not in (None, *KEEP):
        return False
    return 1 <= steps <= MOST_STEPS if seconds is None else 0 < seconds <= MOST_SECONDS


def agreed(root: Path, asked: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the run in `root`. Raises Refusal if one in `asked` differs; None, and an omitted option, mean
    the stored value. `defaults` are the options of the recipe."""
    begun: dict[str, Any] = {"ranks": 1} | recorded(root)
    if begun["ranks"] != asked["ranks"]:
        raise Refusal(f"{root}: this run has {begun['ranks']} ranks, not {asked['ranks']}; use torchrun with as many")
    for name, value in asked.items():
        if name not in ("options", "ranks") and value is not None and value != begun.get(name):
            raise Refusal(_differs(name, value, begun.get(name)))
    for name, value in asked["options"].items():
        was = begun["options"].get(name, defaults.get(name))
        if value != was:
            raise Refusal(_differs(name, value, was))
    if begun["start"] is not None and asked["start"] is None:
        raise Refusal(f"this run started from the model {begun['start']}: give it again with --from")
    return begun


def same_data(begun: Mapping[str, Any], fingerprint: str, source: Any) -> None:
    """Raises Refusal if the data are not those of the run."""
    if begun["fingerprint"] != fingerprint:
        raise Refusal(f"{source}: the data have changed since the run began; train without --resume to start again")


def _differs(name: str, value: Any, was: Any) -> str:
    return f"{name}={value}: the run to resume has {name}={was}; leave it out, or train without --resume"
