"""Of which kind the files of a person are: text, code, image or vector, by the extensions that each kind reads."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import models
from ..data.captions import TABLES
from ..data.files import kinds, listed, shown
from ..space import Refusal

RECIPES = {"text": "text_gpt", "code": "code_gpt", "image": "image_diffusion", "vector": "vector_gpt"}
STARTERS = {"text": "prose", "code": "python", "image": "icons", "vector": "icons"}
ABOUT = re.compile(r"(readme|licen[cs]e|copying|notice|changelog)\b", re.IGNORECASE)


def modality_of(kind: str) -> Any:
    """The class that reads the files of a kind."""
    return models.find_part(kind.capitalize())


def counted(source: Path) -> dict[str, int]:
    """How many files of each kind there are, of which there is one at least. Texts beside other files of their name are
    captions, and those about a folder are none of its data. Refuses where there is nothing."""
    found = listed(source)
    own = found if source.is_file() else [path for path in found if path.name not in TABLES]
    of = {kind: [path for path in own if path.suffix.lower() in modality_of(kind).extensions] for kind in RECIPES}
    if source.is_dir():
        told = {path.with_suffix("") for paths in (of[kind] for kind in of if kind != "text") for path in paths}
        of["text"] = [path for path in of["text"] if path.with_suffix("") not in told and not ABOUT.match(path.name)]
    counts = {kind: len(paths) for kind, paths in of.items() if paths}
    if not counts:
        words = _commands(RECIPES, source) if source.is_file() else "give another"
        raise Refusal(f"{shown(source)} holds nothing that can be learned from ({kinds(found) or 'no files'}); {words}")
    return counts


def kind_of(source: Path) -> str:
    """The one kind of all files; refuses where they are of several. What else a repository of code holds, and the fewer
    texts beside code, belong to the code."""
    counts = counted(source)
    code = counts.get("code", 0)
    if code and (source / ".git").exists():
        return "code"
    if code > counts.get("text", 0):
        counts.pop("text", None)
    if len(counts) > 1:
        held = " and ".join(f"{count:,} {kind} files" for kind, count in counts.items())
        raise Refusal(f"{shown(source)} holds {held}, and a model learns one kind: {_commands(counts, source)}")
    return next(iter(counts))


def _commands(among: Iterable[str], source: Path) -> str:
    return " or ".join(f"septet {shlex.join(('train', kind, shown(source)))}" for kind in among)
