"""The sampling settings of a process: which it takes, and which a draw goes by."""

import inspect
import math
from collections.abc import Mapping
from typing import Any, get_args

from .parts import Process
from .space import Refusal

INNER = ("noise", "context", "known", "near", "strength", "self")  # arguments of `draws` that are no settings


def takes(process: Process, name: str) -> bool:
    """Whether a process draws by an argument of this name."""
    return name in inspect.signature(process.draws).parameters


def checked_strength(strength: float) -> float:
    """How far given content is varied, in its range, or a Refusal."""
    if not 0 < strength <= 1:
        raise Refusal(f"strength={strength}: expected above 0 (hardly changed) to 1 (drawn anew)")
    return strength


def chosen(process: Process, given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings `given`, else the model's `own` where the process takes them. None asks for the own one. What the
    process does not take, or is of another kind, is a Refusal."""
    kind, parameters = type(process).__name__, inspect.signature(process.draws).parameters
    known = {name: _kinds(name, p.annotation) for name, p in parameters.items() if name not in INNER}
    for name, value in given.items():
        if name not in known:
            raise Refusal(f"{name}={value}: {kind} takes {', '.join(known) or 'no settings'}")
        if value is not None and not _fits(value, known[name]):
            expected = " or ".join(k.__name__ for k in known[name] if k is not type(None))
            raise Refusal(f"{name}={value}: expected a finite {expected}")
    return {n: v for n, v in own.items() if n in known} | {n: v for n, v in given.items() if v is not None}


def _kinds(name: str, annotation: Any) -> tuple[type, ...]:
    return (float,) if name == "guidance" else get_args(annotation) or (annotation,)  # a weight, for the user


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return math.isfinite(value) and (float in kinds or type(value) in kinds)
    return type(value) in kinds
