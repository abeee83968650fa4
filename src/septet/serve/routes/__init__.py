"""The routes of the API, in modules with a function `routes(server)` and USES, the uses of models."""

import importlib
import pkgutil
from types import ModuleType

from ..server import Use

__all__ = ["found", "uses"]


def found() -> list[ModuleType]:
    """All modules of routes, that for texts first: clients without a configured model use the first one listed."""
    names = sorted((module.name for module in pkgutil.iter_modules(__path__)), reverse=True)
    return [importlib.import_module(f"{__name__}.{name}") for name in names]


def uses() -> list[Use]:
    """All uses of models."""
    return [use for module in found() for use in module.USES]
