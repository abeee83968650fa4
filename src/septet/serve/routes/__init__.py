"""The routes of the API, a module each: `routes(server)` makes them, USES tells what models they take."""

import importlib
import pkgutil
from types import ModuleType

from ..server import Use

__all__ = ["found", "uses"]


def found() -> list[ModuleType]:
    """Every module of routes, that for texts first: a client that was told no model takes the first that is listed."""
    names = sorted((module.name for module in pkgutil.iter_modules(__path__)), reverse=True)
    return [importlib.import_module(f"{__name__}.{name}") for name in names]


def uses() -> list[Use]:
    """What models may be asked for."""
    return [use for module in found() for use in module.USES]
