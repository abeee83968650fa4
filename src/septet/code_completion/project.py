"""Reads the files of a project for an index."""

from pathlib import Path

from ..data.files import listed
from ..data.ignored import Ignored
from ..modalities.code import Code
from ..space import Refusal

MOST_CHARACTERS = 20_000_000


def read(root: Path) -> dict[str, str]:
    """Reads the source files below a folder: text by path, without secrets. Skips files that .gitignore names, files
    that are not text, links to files outside the project, and all files after MOST_CHARACTERS in total."""
    root, found, total = root.resolve(), {}, 0
    for path in listed(root, tracked=True):
        if path.suffix.lower() in Code.extensions and total < MOST_CHARACTERS:
            place = path.resolve()
            text = text_of(path) if place == path or holds(root, place) else None
            total += len(text or "")
            if text is not None:
                found[str(place)] = text
    return found


def text_of(path: Path) -> str | None:
    """The text of a file without secrets; None if it cannot be read."""
    code = Code()
    try:
        return next((piece for piece, _ in code.pieces(code.read(path))), None)
    except Refusal:
        return None


def holds(root: Path, path: Path) -> bool:
    """Whether `read` would include the file, which need not exist yet."""
    if path.suffix.lower() not in Code.extensions or not path.is_relative_to(root):
        return False
    ignored, place = Ignored.at(root), root
    for part in path.relative_to(root).parts:
        ignored, place = ignored.below(place), place / part
        if part.startswith(".") or ignored(place, place != path):
            return False
    return True
