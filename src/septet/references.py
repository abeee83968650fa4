"""From names to what they stand for: a model's reference to its folder, a part's name to its class."""

import difflib
import importlib
import os
import pkgutil
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from .folders import MANIFEST, previous
from .part import Part, part_name
from .space import Refusal

SOURCE = Path(__file__).parent
STARTERS = SOURCE / "starters"
PACKAGES = ("backbones", "processes", "codecs", "modalities", "conditioners", "critics", "generator", "marks")
PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
HUB_FILES = ["*.safetensors", "*.json", "*.jsonl", "*.md", "*.txt"]


def starters() -> list[str]:
    """The names of the models that ship with septet."""
    return sorted(path.parent.name for path in STARTERS.glob("*/config.json"))


def resolve(reference: str | Path) -> Path:
    """The folder of a starter's name, a folder, or `hf:owner/name`, which is fetched by huggingface_hub."""
    text = str(reference)
    if text in starters():
        return STARTERS / text
    if text.startswith("hf:"):
        return _fetch(text.removeprefix("hf:"))
    if os.path.isdir(text):
        return Path(text)
    shown = text if len(text) <= 80 else text[:77] + "..."
    if os.path.isfile(text):
        raise Refusal(f"{shown} {_unreadable(Path(text))}")
    if text.startswith("pypi:"):
        raise Refusal(f"{shown}: models in packages are not read by this version; give a folder or hf:owner/name")
    # Killed between the two renames of a save, the model is whole under its other name.
    if Path(text).name and len(text) <= 4096 and os.path.isdir(previous(Path(text))):
        return previous(Path(text))
    close = difflib.get_close_matches(text[:80], starters())
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    raise Refusal(f"no model {shown!r}: neither a folder nor one of the starters ({_listed(starters())}){meant}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _unreadable(path: Path) -> str:
    """Why a file is not a model."""
    if is_pickle(path):
        return "is a pickle, which can run code and is never read; give a model folder with safetensors"
    if path.suffix == ".gguf" or _start(path) == b"GGUF":
        return "is a GGUF file, which this version does not read; give a model folder"
    return "is a file; a model is a folder, give that"


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, bare or in a zip, by its name or its first bytes."""
    start = _start(path)
    # A safetensors file begins with a length below 2 ** 24, so its fourth byte is 0; a pickle's is not.
    return path.suffix in PICKLES or start == b"PK\3\4" or (start[:1] == b"\x80" and start[3:] != b"\0")


def _start(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(4)


def _fetch(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,96}/[A-Za-z0-9._-]{1,96}", name):
        raise Refusal(f"hf:{name[:80]}: expected hf:owner/name")
    if find_spec("huggingface_hub") is None:
        raise Refusal(f"hf:{name} needs the package huggingface_hub: pip install 'septet[hf]'")
    from huggingface_hub import snapshot_download

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "septet" / name.replace("/", "--")
    try:
        # Real files, not links into a cache: a link that leaves a model folder is refused.
        snapshot_download(name, local_dir=cache, allow_patterns=HUB_FILES)
    except Exception as error:  # the client raises errors of several network libraries, which differ by its version
        whole = cache / MANIFEST
        if not whole.is_file():
            reason = str(error).strip().split("\n")[0][:200]
            raise Refusal(f"hf:{name} could not be fetched ({type(error).__name__}: {reason})") from error
    return cache


def find_part(name: str, parts: Sequence[type[Part]] = ()) -> type[Part]:
    """The class of a part's name ("Flow", "processes.Flow"): one of `parts`, else one of septet's part packages.

    Only the module that defines the name is imported. A class that moved to another package is still found.
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
    for package in PACKAGES:
        if (SOURCE / f"{package}.py").is_file():
            yield f"septet.{package}", SOURCE / f"{package}.py"
        for module in pkgutil.iter_modules([str(SOURCE / package)]):
            yield f"septet.{package}.{module.name}", SOURCE / package / f"{module.name}.py"


def _imported(module: str, part: str):
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise Refusal(f"{part} needs the package {error.name}: pip install {error.name}") from error
