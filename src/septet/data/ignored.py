"""Which files the .gitignore files of a repository exclude."""

import re
from pathlib import Path

from pathspec import GitIgnoreSpec

RULES = ".gitignore"
LONGEST_BYTES = 1 << 20


class Ignored:
    """The rules that apply in a folder: its own, and those of the folders above. As in git, the nearest matching rule
    decides."""

    def __init__(self, rules: tuple[tuple[Path, GitIgnoreSpec], ...] = ()):
        self.rules = rules

    @classmethod
    def at(cls, folder: Path) -> "Ignored":
        """The rules from the folders above, up to the root of the repository."""
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
        """Adds the rules of a subfolder, if it has any."""
        file = folder / RULES
        try:
            if not file.is_file() or file.stat().st_size > LONGEST_BYTES:
                return self
            lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        except OSError:
            return self
        return Ignored((*self.rules, (folder.resolve(), GitIgnoreSpec.from_lines(filter(_is_rule, lines)))))

    def __call__(self, path: Path, is_folder: bool) -> bool:
        """Whether a file or folder is excluded."""
        for folder, spec in reversed(self.rules):
            place = path.parent.resolve() / path.name
            if not place.is_relative_to(folder):
                continue
            said = spec.check_file(place.relative_to(folder).as_posix() + "/" * is_folder).include
            if said is not None:
                return said
        return False


def _is_rule(line: str) -> bool:
    """Whether a line is valid; git skips others."""
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True
