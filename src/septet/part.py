"""Part: what models are built from. Its constructor's arguments are recorded, so that a folder can rebuild it."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, get_args

from .space import Refusal, Space

PLAIN = (bool, int, float, str, NoneType)


class Part:
    """Anything a model is built from. Records its constructor's arguments, so that a model folder can rebuild it.

    Arguments are plain values, Spaces, Assets, other Parts, and lists, tuples or dicts of them. A part whose arguments
    change raises `version` and turns old arguments into new ones in `upgrade`.
    """

    version = 1

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        if "__init__" not in cls.__dict__:
            return
        constructor, signature = cls.__init__, inspect.signature(cls.__init__)

        @functools.wraps(constructor)
        def recording(self, *positional, **named):
            if "arguments" not in self.__dict__:
                bound = signature.bind(self, *positional, **named)
                bound.apply_defaults()
                arguments = dict(list(bound.arguments.items())[1:])
                object.__setattr__(self, "arguments", arguments)
            constructor(self, *positional, **named)

        type.__setattr__(cls, "__init__", recording)  # an assignment would hide the constructor from type checkers

    @classmethod
    def upgrade(cls, arguments: dict, version: int) -> dict:
        """The arguments of an older `version` of this part, made fit for this one."""
        raise Refusal(
            f"{cls.__name__} version {version}: this septet knows version {cls.version} and no way from there"
        )

    @classmethod
    def tiny(cls) -> "Part":
        """The smallest real instance; the contract suite tests every part through it."""
        raise Refusal(f"{cls.__name__} has no tiny instance")


@dataclass(frozen=True)
class Asset:
    """A long text among a part's arguments (a tokenizer), kept as a file of its own in the model folder."""

    name: str
    content: str


def part_name(kind: type[Part]) -> str:
    """What a part is called in a model folder: its class, for septet's own after its package ("conditioners.Text")."""
    home = kind.__module__.split(".")
    return f"{home[1]}.{kind.__name__}" if home[0] == "septet" and len(home) > 1 else kind.__name__


def describe(value: Any) -> Any:
    """The JSON tree of constructors that rebuilds `value`."""
    if isinstance(value, Part):
        arguments = {name: describe(v) for name, v in getattr(value, "arguments", {}).items()}
        return {"part": part_name(type(value)), "version": value.version, "arguments": arguments}
    if isinstance(value, Space):
        tree = {"shape": list(value.shape), "symbols": value.symbols, "channels": value.channels}
        return {"space": tree | {"markers": dict(value.markers)}}
    if isinstance(value, Asset):
        return {"file": value.name}
    if isinstance(value, list | tuple):
        return [describe(v) for v in value]
    if isinstance(value, dict):
        return {str(k): describe(v) for k, v in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r}: a part's argument must be a plain value, a Space, an Asset or a Part")


def assets(value: Any) -> dict[str, Asset]:
    """Every Asset among the arguments below `value`, by file name."""
    if isinstance(value, Asset):
        return {value.name: value}
    inner = getattr(value, "arguments", {}) if isinstance(value, Part) else value
    if isinstance(inner, dict):
        inner = list(inner.values())
    found: dict[str, Asset] = {}
    for name, asset in (pair for v in inner for pair in assets(v).items()) if isinstance(inner, list | tuple) else ():
        if found.setdefault(name, asset) != asset:
            raise Refusal(f"two different files called {name} in one model: give one of the two Assets another name")
    return found


def build(tree: Any, find: Callable[[str], type[Part]], read: Callable[[str], str]) -> Any:
    """The inverse of `describe`: `find` gives the class of a part's name, `read` the content of a file."""
    if isinstance(tree, list):
        return [build(v, find, read) for v in tree]
    if not isinstance(tree, dict):
        return tree
    if set(tree) == {"part", "version", "arguments"}:
        kind, arguments = find(tree["part"]), tree["arguments"]
        if tree["version"] != kind.version:
            arguments = kind.upgrade(arguments, tree["version"])
        return kind(**_fitting(kind, {name: build(v, find, read) for name, v in arguments.items()}))
    if set(tree) == {"space"}:
        return Space(**tree["space"])
    if set(tree) == {"file"}:
        return Asset(tree["file"], read(tree["file"]))
    return {name: build(v, find, read) for name, v in tree.items()}


def _fitting(kind: type[Part], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments; one that is not the part, or the plain value, that the constructor asks for is a Refusal."""
    for name, parameter in inspect.signature(kind).parameters.items():
        asked = parameter.annotation
        kinds = get_args(asked) if isinstance(asked, UnionType) else (asked,)
        checked = all(isinstance(k, type) and issubclass(k, (Part, *PLAIN)) for k in kinds) and name in arguments
        if checked and not isinstance(arguments[name], (*kinds, int) if float in kinds else kinds):
            expected = " or ".join(k.__name__.removesuffix("Type") for k in kinds)
            raise Refusal(f"{kind.__name__}: its {name} is no {expected}; use another copy of the model")
    return arguments
