"""What a repository leaves out, by its .gitignore files."""

import re
from pathlib import Path

from pathspec import GitIgnoreSpec

RULES = ".gitignore"
LONGEST_BYTES = 1 << 20


class Ignored:
    """The rules that hold in a folder: its own, and those of the folders above it; the nearest that says anything about
    a path decides, as in git."""

    def __init__(self, rules: tuple[tuple[Path, GitIgnoreSpec], ...] = ()):
        self.rules = rules

    @classmethod
    def at(cls, folder: Path) -> "Ignored":
        """The rules from above a folder, as far up as its repository reaches."""
        above, place = [], folder.resolve()
        while not (place / ".git").exists():
            if place.parent == place:
                return cls()
            place = place.parent
            above.append(place)
        rules = cls()
        for folder in reversed(above):
            rules = rules.below(folder)
        return rules

    def below(self, folder: Path) -> "Ignored":
        """With the rules of a folder below, where it has any."""
        file = folder / RULES
        try:
            if not file.is_file() or file.stat().st_size > LONGEST_BYTES:
                return self
            lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        except OSError:
            return self
        return Ignored((*self.rules, (folder.resolve(), GitIgnoreSpec.from_lines(filter(_is_rule, lines)))))

    def __call__(self, path: Path, is_folder: bool) -> bool:
        """Whether a file or folder is left out."""
        for folder, spec in reversed(self.rules):
            place = path.parent.resolve() / path.name
            if not place.is_relative_to(folder):
                continue
            said = spec.check_file(place.relative_to(folder).as_posix() + "/" * is_folder).include
            if said is not None:
                return said
        return False


def _is_rule(line: str) -> bool:
    """Whether a line can be read; git passes over others."""
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True
