"""Kinds of content in files of their own, found as if they lay in septet's packages."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import septet.modalities
import septet.recipes

PACKAGES = septet.modalities, septet.recipes


@contextmanager
def installed(root: Path) -> Iterator[None]:
    """The modules in `root`/modalities and `root`/recipes are importable from septet's packages meanwhile."""
    folders = {package: root / package.__name__.rpartition(".")[2] for package in PACKAGES}
    for package, folder in folders.items():
        package.__path__.append(str(folder))
    try:
        yield
    finally:
        for package, folder in folders.items():
            package.__path__.remove(str(folder))
            for path in folder.glob("*.py"):
                sys.modules.pop(f"{package.__name__}.{path.stem}", None)
                vars(package).pop(path.stem, None)
