"""Sampling settings: which ones a process takes, and checks of their values."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, get_args

from ..contracts import Process
from ..space import Refusal

ANOTHER = "use another copy of the model"
INNER = ("noise", "context", "known", "near", "strength", "self")  # arguments of `draws` that are not settings


def takes(process: Process, name: str) -> bool:
    """Whether `draws` of a process has an argument of this name."""
    return name in inspect.signature(process.draws).parameters


def checked_strength(strength: float) -> float:
    """Returns `strength`, how far given content is varied. Raises Refusal if it is out of range."""
    if not 0 < strength <= 1:
        raise Refusal(f"strength={strength}: expected above 0 (hardly changed) to 1 (unrelated)")
    return strength


def own(process: Process, settings: Any) -> dict[str, Any]:
    """Checks and returns a model's default settings, which may come from an untrusted file. Raises Refusal if the value
    of a setting that the process takes has the wrong type; other settings are ignored."""
    if not isinstance(settings, dict):
        raise Refusal(f"the model's settings are not a dict of names and values; {ANOTHER}")
    known = _known(process)
    for name, value in settings.items():
        if name in known and value is not None and not _fits(value, known[name]):
            raise Refusal(f"the model's settings hold {_differs(name, value, known[name])}; {ANOTHER}")
    return settings


def chosen(process: Process, given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings for one call: those `given`, and the model's `own` for all others, and for those given as None.
    Raises Refusal if a given setting is unknown to the process or has the wrong type."""
    kind, known = type(process).__name__, _known(process)
    for name, value in given.items():
        if name not in known:
            raise Refusal(f"{_shown(name)}={_shown(value)}: {kind} takes {', '.join(known) or 'no settings'}")
        if value is not None and not _fits(value, known[name]):
            raise Refusal(_differs(name, value, known[name]))
    both = [(n, v) for n, v in own.items() if n in known] + list(given.items())
    return {n: v for n, v in both if v is not None}


def _known(process: Process) -> dict[str, tuple[type, ...]]:
    """The settings that a process takes, with the types of their values."""
    parameters = inspect.signature(process.draws).parameters
    return {name: _kinds(name, p.annotation) for name, p in parameters.items() if name not in INNER}


def _differs(name: str, value: Any, kinds: tuple[type, ...]) -> str:
    expected = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
    return f"{name}={_shown(value)}: expected a finite {expected}"


def _shown(value: Any) -> str:
    """The beginning of a value as text, with control characters escaped."""
    text = str(value)[:60]
    return text if text.isprintable() else repr(text)


def _kinds(name: str, annotation: Any) -> tuple[type, ...]:
    return (float,) if name == "guidance" else get_args(annotation) or (annotation,)  # users give its weight


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return math.isfinite(value) and (float in kinds or type(value) in kinds)
    return type(value) in kinds


def pairs(words: Iterable[str], refused: Callable[[str], str]) -> dict[str, str]:
    """Parses `name=value` words to a dict; `refused` returns the error message for a word of another form."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Refusal(refused(word))
        found[name] = value
    return found


def typed(value: str) -> int | float | str:
    """Parses an int or a float; returns other text unchanged."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(value)
    return value
