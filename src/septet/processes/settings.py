"""The sampling settings of a process: which it takes, and which a draw goes by."""

import inspect
import math
from collections.abc import Mapping
from typing import Any, get_args

from ..contracts import Process
from ..space import Refusal

ANOTHER = "use another copy of the model"
INNER = ("noise", "context", "known", "near", "strength", "self")  # arguments of `draws` that are no settings


def takes(process: Process, name: str) -> bool:
    """Whether a process draws by an argument of this name."""
    return name in inspect.signature(process.draws).parameters


def checked_strength(strength: float) -> float:
    """How far given content is varied, in its range, or a Refusal."""
    if not 0 < strength <= 1:
        raise Refusal(f"strength={strength}: expected above 0 (hardly changed) to 1 (drawn anew)")
    return strength


def own(process: Process, settings: Any) -> dict[str, Any]:
    """A model's own settings, which may stand in a file from elsewhere: of those that the process takes, one of another
    kind is a Refusal; the others are left as they are."""
    if not isinstance(settings, dict):
        raise Refusal(f"the model's settings are no names with values; {ANOTHER}")
    known = _known(process)
    for name, value in settings.items():
        if name in known and value is not None and not _fits(value, known[name]):
            raise Refusal(f"the model's settings have {_differs(name, value, known[name])}; {ANOTHER}")
    return settings


def chosen(process: Process, given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings `given`, else the model's `own` where the process takes them. None asks for the own one. What the
    process does not take, or is of another kind, is a Refusal."""
    kind, known = type(process).__name__, _known(process)
    for name, value in given.items():
        if name not in known:
            raise Refusal(f"{_shown(name)}={_shown(value)}: {kind} takes {', '.join(known) or 'no settings'}")
        if value is not None and not _fits(value, known[name]):
            raise Refusal(_differs(name, value, known[name]))
    both = [(n, v) for n, v in own.items() if n in known] + list(given.items())
    return {n: v for n, v in both if v is not None}


def _known(process: Process) -> dict[str, tuple[type, ...]]:
    """The kinds of each setting that a process takes."""
    parameters = inspect.signature(process.draws).parameters
    return {name: _kinds(name, p.annotation) for name, p in parameters.items() if name not in INNER}


def _differs(name: str, value: Any, kinds: tuple[type, ...]) -> str:
    expected = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
    return f"{name}={_shown(value)}: expected a finite {expected}"


def _shown(value: Any) -> str:
    """The beginning of what was given, with nothing in it that a terminal obeys."""
    text = str(value)[:60]
    return text if text.isprintable() else repr(text)


def _kinds(name: str, annotation: Any) -> tuple[type, ...]:
    return (float,) if name == "guidance" else get_args(annotation) or (annotation,)  # a weight, for the user


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return math.isfinite(value) and (float in kinds or type(value) in kinds)
    return type(value) in kinds
