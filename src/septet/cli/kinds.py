"""The kinds of content in a folder, by the file extensions that each modality reads."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import recipes
from ..data.captions import TABLES
from ..data.files import kinds, listed, shown
from ..space import Refusal

ABOUT = re.compile(r"(readme|licen[cs]e|copying|notice|changelog)\b", re.IGNORECASE)


def modality_of(kind: str) -> Any:
    """The class that reads the files of a kind."""
    return checked(kind).modality


def checked(kind: str) -> recipes.Kind:
    """The kind with this name. Raises Refusal with a list of the kinds, and of packages that others need."""
    known = recipes.kinds()
    if kind not in known:
        lacking = "".join(f"; {sentence}" for sentence in recipes.missing().values())
        raise Refusal(f"kind {kind!r}: expected one of {', '.join(known)}{lacking}")
    return known[kind]


def counted(source: Path) -> dict[str, int]:
    """The number of files of each kind that occurs. Texts with the name of another file are captions, and readme and
    licence files are not data. Raises Refusal if there are no data."""
    found = listed(source)
    own = found if source.is_file() else [path for path in found if path.name not in TABLES]
    known = {kind: facts.modality for kind, facts in recipes.kinds().items()}
    of = {kind: [path for path in own if path.suffix.lower() in m.extensions] for kind, m in known.items()}
    for kind in (kind for kind, m in known.items() if _prose(m) and source.is_dir()):
        told = {path.with_suffix("") for other in of if not _prose(known[other]) for path in of[other]}
        of[kind] = [path for path in of[kind] if path.with_suffix("") not in told and not ABOUT.match(path.name)]
    counts = {kind: len(paths) for kind, paths in of.items() if paths}
    if not counts:
        words = _commands(known, source) if source.is_file() else "give another folder"
        raise Refusal(f"{shown(source)} holds nothing to train on ({kinds(found) or 'no files'}); {words}")
    return counts


def _prose(modality: Any) -> bool:
    """Whether its files may describe others: texts that have no captions and are not code."""
    return not modality.captioned and not modality.tracked


def kind_of(source: Path) -> str:
    """The kind of all files; raises Refusal if there are several. The other files of a code repository, and texts that
    are fewer than files of code, count as code."""
    counts = counted(source)
    code = {kind: count for kind, count in counts.items() if modality_of(kind).tracked}
    if code and (source / ".git").exists():
        return max(code, key=lambda kind: code[kind])
    if code:
        counts = {k: n for k, n in counts.items() if n >= max(code.values()) or not _prose(modality_of(k))}
    if len(counts) > 1:
        held = " and ".join(f"{count:,} {kind} files" for kind, count in counts.items())
        raise Refusal(f"{shown(source)} holds {held}, and a model is trained on one kind: {_commands(counts, source)}")
    return next(iter(counts))


def _commands(among: Iterable[str], source: Path) -> str:
    return " or ".join(f"septet {shlex.join(('train', kind, shown(source)))}" for kind in among)
