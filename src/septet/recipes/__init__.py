"""One file an application and technology: a function that turns a person's data into a Plan. Its signature is the list
of its options."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..data.dataset import Dataset
from ..fitting import Batches, Settings
from ..generator import Generator
from ..parts import Learner
from ..space import Refusal

RESERVED = ("source", "seed", "start", "seconds")  # arguments of every recipe that are no options


@dataclass
class Stage:
    """One thing to train. `batches` is called when the stage begins, so that it can use what came before; `after` when
    it has ended, and before a preview is drawn, to measure what needs no gradients."""

    name: str
    learner: Learner
    batches: Callable[[], Batches]
    settings: Settings
    share: float = 1.0
    after: Callable[[], None] | None = None


@dataclass
class Plan:
    """What a recipe returns. The last stage trains the generator; the stages before, its codec. `facts` go on
    the model's card; `previews` are the prompts that are drawn again and again while it trains."""

    generator: Generator
    stages: list[Stage]
    dataset: Dataset
    facts: dict[str, Any] = field(default_factory=dict)
    previews: list[Any] = field(default_factory=list)


def names() -> list[str]:
    """Every recipe's name."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def find(recipe: str | Callable[..., Plan]) -> Callable[..., Plan]:
    """A recipe by its name, which is that of its module and of the function in it."""
    if callable(recipe):
        return recipe
    if recipe not in names():
        raise Refusal(f"recipe {recipe!r}: expected one of {', '.join(names())}")
    return getattr(importlib.import_module(f"{__name__}.{recipe}"), recipe)


def options(recipe: Callable[..., Plan]) -> dict[str, Any]:
    """The options of a recipe and their defaults."""
    parameters = inspect.signature(recipe).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in RESERVED}


def parsed(recipe: Callable[..., Plan], words: list[str]) -> dict[str, Any]:
    """`option=value` words as arguments of the recipe, each of the type of its default."""
    known, chosen = options(recipe), {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            raise Refusal(f"option {word!r}: {recipe.__name__} takes {', '.join(f'{n}={v}' for n, v in known.items())}")
        chosen[name] = _typed(name, value, known[name])
    return chosen


def _typed(name: str, value: str, default: Any) -> Any:
    if isinstance(default, bool):
        if value not in ("yes", "no", "true", "false"):
            raise Refusal(f"{name}={value}: expected yes or no")
        return value in ("yes", "true")
    if isinstance(default, str):
        return value
    for kind in (int, float):
        try:
            number = kind(value)
        except ValueError:
            continue
        if isinstance(default, int) and kind is float:
            break
        return kind(number)
    if default is None:
        return value
    raise Refusal(f"{name}={value}: expected a{'n integer' if isinstance(default, int) else ' number'}, as {default}")
