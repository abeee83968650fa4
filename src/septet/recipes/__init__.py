"""One file per application and technology: a function that turns a data source into a Plan. Its keyword arguments are
its options."""

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

from ..contracts import Learner, Modality
from ..data.advice import Enough, advice
from ..data.dataset import Dataset
from ..fitting import Batches, Settings
from ..fitting.sizes import Choice
from ..generator import Generator
from ..processes.settings import pairs, typed
from ..space import Refusal

MOST = 1_000_000  # the largest value of an integer option
KINDS: dict[Any, str] = {bool: "yes or no", int: "a whole number", float: "a number", str: "a text"}
SHARES = ("dropout", "fill", "average", "codec_share")  # options in [0, 1)
__all__ = [
    *("Enough", "Kind", "Plan", "Stage", "advised", "checked", "default_modality", "find", "kind_of", "kinds"),
    *("missing", "names", "options", "parsed", "recipe"),
]

RESERVED = ("source", "seed", "start", "seconds")  # arguments of every recipe that are not options


@dataclass
class Stage:
    """One training stage: a learner, its data and settings. `batches` is called when the stage begins, so that it can
    use the result of the stages before. `after` is called at its end and before each preview, to fit what needs no
    gradients. `share`: fraction of the budget or steps. `most`: the maximum number of steps, even if time is left."""

    name: str
    learner: Learner
    batches: Callable[[], Batches]
    settings: Settings
    share: float = 1.0
    after: Callable[[], None] | None = None
    most: int | None = None


@dataclass
class Plan:
    """What a recipe returns. The last stage trains the generator, the stages before it train its codec. `facts` are
    written to the model card; `previews` are the prompts of the samples generated during training. `choice` is the
    size of the network, if it was chosen by the budget."""

    generator: Generator
    stages: list[Stage]
    dataset: Dataset
    facts: dict[str, Any] = field(default_factory=dict)
    previews: list[Any] = field(default_factory=list)
    choice: Choice = field(default_factory=lambda: Choice({}))


@dataclass(frozen=True)
class About:
    """The arguments of a recipe's decorator `recipe`."""

    modality: type[Modality]
    default: bool
    few: float
    enough: Enough | None
    published: bool


@dataclass(frozen=True)
class Kind:
    """A kind of content and its recipes: their names, and the default one."""

    modality: type[Modality]
    recipes: tuple[str, ...]
    default: str
    about: About  # of the default

    @property
    def published(self) -> str | None:
        """The recipe that fine-tunes published models."""
        return next((name for name in self.recipes if _about(name).published), None)


Made = TypeVar("Made", bound=Callable[..., Plan])


def recipe(
    modality: type[Modality],
    default: bool = False,
    few: float = 0,
    enough: Enough | None = None,
    published: bool = False,
) -> Callable[[Made], Made]:
    """Decorator that registers a function as the recipe of its name, for data of `modality`. `default`: it is used if
    no recipe is named; with fewer than `few` files it then fine-tunes a starter. `enough`: how much data it needs, if
    that was measured. `published`: it fine-tunes published models."""

    def register(function: Made) -> Made:
        vars(function)["about"] = About(modality, default, few, enough, published)
        return function

    return register


def names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def find(recipe: str | Callable[..., Plan]) -> Callable[..., Plan]:
    """The recipe called `recipe`, the function of that name in the module of that name. Raises Refusal if there is
    none, or a package that it imports is missing."""
    if callable(recipe):
        return recipe
    if recipe not in names():
        raise Refusal(f"recipe {recipe!r}: expected one of {', '.join(names())}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{recipe}"), recipe)
    except ModuleNotFoundError as error:
        raise Refusal(f"recipe {recipe} needs the package {error.name}: pip install {error.name}") from error


def _about(name: str) -> About:
    about = vars(find(name)).get("about")
    if about is None:
        raise Refusal(f"recipe {name} is not registered: decorate its function with @recipe(MODALITY)")
    return about


def kind_of(name: str) -> str:
    """The name of a recipe's modality."""
    return _about(name).modality.name


def kinds() -> dict[str, Kind]:
    """All kinds of content that have a recipe, by the name of the modality. Recipes that cannot be imported are
    omitted, see `missing`."""
    lacking, found = missing(), {}
    for name in names():
        if name not in lacking:
            found.setdefault(kind_of(name), []).append(name)
    return {kind: _kind(own) for kind, own in found.items()}


def _kind(own: list[str]) -> Kind:
    first = next((name for name in own if _about(name).default), own[0])
    about = _about(first)
    return Kind(about.modality, tuple(own), first, about)


def missing() -> dict[str, str]:
    """Recipes that cannot be imported, each with an error message that names the package to install."""
    said = {}
    for name in names():
        try:
            _about(name)
        except Refusal as error:
            said[name] = str(error)
    return said


def advised(dataset: Dataset) -> str:
    """A sentence on whether the data set is large enough; empty if that was not measured for its kind."""
    found = kinds().get(dataset.modality.name)
    return advice(dataset, None if found is None else found.about.enough)


def default_modality(kind: str) -> Modality:
    """The modality of a kind with the arguments that its default recipe gives it."""
    found = kinds()[kind]
    known, chosen = inspect.signature(found.modality).parameters, options(find(found.default))
    return found.modality(**{name: value for name, value in chosen.items() if name in known})


def options(recipe: Callable[..., Plan]) -> dict[str, Any]:
    """The options of a recipe and their defaults."""
    parameters = inspect.signature(recipe).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in RESERVED}


def parsed(recipe: Callable[..., Plan], words: list[str]) -> dict[str, Any]:
    """Parses `option=value` words to arguments of the recipe, each of the type of its default. Raises Refusal for an
    unknown option or a value of another type."""
    known, chosen = options(recipe), {}
    for name, value in pairs(words, lambda word: _unknown(recipe, word)).items():
        if name not in known:
            raise Refusal(_unknown(recipe, f"{name}={value}"))
        chosen[name] = _typed(name, value, known[name])
    return chosen


def checked(recipe: Callable[..., Plan], chosen: dict[str, Any]) -> dict[str, Any]:
    """Returns the chosen options. Raises Refusal for an unknown option, and for a value of a wrong type or range."""
    known = options(recipe)
    for name, value in chosen.items():
        if name not in known:
            raise Refusal(_unknown(recipe, f"{name}={value}"))
        _check_kind(recipe, name, value)
        if name in SHARES and not 0 <= value < 1:
            raise Refusal(f"{name}={value}: expected a share from 0 to below 1")
        if isinstance(value, float) and not (math.isfinite(value) and value >= 0):
            raise Refusal(f"{name}={value}: expected a number of at least 0")
        least = 0 if known[name] == 0 else 1
        if isinstance(value, int) and not isinstance(value, bool) and not least <= value <= MOST:
            raise Refusal(f"{name}={value}: expected {least} to {MOST:,}")
    return chosen


def _check_kind(recipe: Callable[..., Plan], name: str, value: Any) -> None:
    """Raises Refusal if the value is not of the type that the recipe's annotation names, if that is a plain type:
    values may come from a file."""
    annotation = inspect.signature(recipe).parameters[name].annotation
    kinds = get_args(annotation) or (annotation,)
    if not set(kinds) <= set(KINDS) | {type(None)}:
        return
    whole = isinstance(value, int) and not isinstance(value, bool) and {float, str} & set(kinds)  # 1 for 1.0 or "1"
    if not whole and not (isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))):
        shown = str(value)[:60] if str(value).isprintable() else repr(value)[:60]
        raise Refusal(f"{name}={shown}: expected {' or '.join(KINDS[k] for k in kinds if k in KINDS)}")


def _unknown(recipe: Callable[..., Plan], word: str) -> str:
    return f"option {word!r}: {recipe.__name__} takes {', '.join(f'{n}={v}' for n, v in options(recipe).items())}"


def _typed(name: str, value: str, default: Any) -> Any:
    if isinstance(default, bool):
        if value not in ("yes", "no", "true", "false"):
            raise Refusal(f"{name}={value}: expected yes or no")
        return value in ("yes", "true")
    if isinstance(default, str):
        return value
    number = typed(value)
    if default is None:
        return number
    if not isinstance(number, str) and (isinstance(default, float) or isinstance(number, int)):
        return type(default)(number)
    raise Refusal(f"{name}={value}: expected a{'n integer' if isinstance(default, int) else ' number'}, as {default}")
