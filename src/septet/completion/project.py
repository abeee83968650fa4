"""The files of a project, as an index takes them."""

from pathlib import Path

from ..data.files import listed
from ..data.ignored import Ignored
from ..modalities.code import Code
from ..space import Refusal

MOST_CHARACTERS = 20_000_000


def read(root: Path) -> dict[str, str]:
    """Text by path of the code below a folder, without secrets and without what .gitignore names; what is no text is
    left out, and so is what is too much, and what a link reaches that is not the project's."""
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
    """A file without secrets; None where it cannot be read."""
    code = Code()
    try:
        return next((piece for piece, _ in code.pieces(code.read(path))), None)
    except Refusal:
        return None


def holds(root: Path, path: Path) -> bool:
    """Whether `read` would take a file, which need not be there yet."""
    if path.suffix.lower() not in Code.extensions or not path.is_relative_to(root):
        return False
    ignored, place = Ignored.at(root), root
    for part in path.relative_to(root).parts:
        ignored, place = ignored.below(place), place / part
        if part.startswith(".") or ignored(place, place != path):
            return False
    return True
