"""Part, the base class of everything that models are built from, and the tree of constructors that rebuilds a model."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, get_args

from .space import Refusal, Space

PLAIN = (bool, int, float, str, NoneType)


class Part:
    """The base class of everything that models are built from. Records its constructor's arguments, so that it can be
    rebuilt from a model folder.

    Arguments are plain values, Spaces, Assets, other Parts, and lists, tuples or dicts of them. If the arguments of a
    part change, increase `version` and convert old arguments to new ones in `upgrade`.
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
        """Converts the arguments of an older `version` of this part to those of the current version."""
        raise Refusal(
            f"{cls.__name__} version {version}: this septet has version {cls.version} and cannot convert older ones"
        )

    @classmethod
    def tiny(cls) -> "Part":
        """A minimal working instance, with which the contract tests test every part."""
        raise Refusal(f"{cls.__name__} has no tiny instance")


@dataclass(frozen=True)
class Asset:
    """A long text among a part's arguments, such as a tokenizer, stored as a separate file in the model folder."""

    name: str
    content: str


def part_name(kind: type[Part]) -> str:
    """The name of a part in config.json: its class, preceded by the package for septet's own ("conditioners.Text")."""
    home = kind.__module__.split(".")
    return f"{home[1]}.{kind.__name__}" if home[0] == "septet" and len(home) > 1 else kind.__name__


def describe(value: Any) -> Any:
    """The JSON tree of constructors and arguments from which `build` rebuilds `value`."""
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
    """All Assets among the arguments of `value` and of its parts, by file name."""
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
    """The inverse of `describe`. `find` returns the class with a part's name, `read` the content of a file."""
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
    """Returns `arguments`. Raises Refusal if one is not of the type that the constructor's annotations require."""
    for name, parameter in inspect.signature(kind).parameters.items():
        asked = parameter.annotation
        kinds = get_args(asked) if isinstance(asked, UnionType) else (asked,)
        checked = all(isinstance(k, type) and issubclass(k, (Part, *PLAIN)) for k in kinds) and name in arguments
        if checked and not isinstance(arguments[name], (*kinds, int) if float in kinds else kinds):
            expected = " or ".join(k.__name__.removesuffix("Type") for k in kinds)
            raise Refusal(f"{kind.__name__}: {name} is not of type {expected}; use another copy of the model")
    return arguments
