"""The files below a folder: subfolders and links are followed, loops and special files skipped."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..space import Refusal
from .ignored import Ignored

MOST_FILES = 10_000_000


def shown(path: Path | str) -> str:
    """A path as printable text: undecodable bytes and control characters are replaced."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def walk(root: Path, tracked: bool = False) -> Iterator[Path]:
    """Yields the regular files below `root` in sorted order, without hidden files and, with `tracked`, without those
    that .gitignore files name. A folder that links reach twice is walked once."""
    seen: set[tuple[int, int]] = set()

    def below(folder: Path, ignored: Ignored) -> Iterator[Path]:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        ignored = ignored.below(folder) if tracked else ignored
        with os.scandir(folder) as listing:
            entries = sorted((e for e in listing if not e.name.startswith((".", "__MACOSX"))), key=lambda e: e.name)
        for entry in entries:
            try:
                path, is_folder = Path(entry.path), entry.is_dir()
                if ignored(path, is_folder):
                    continue
                if is_folder:
                    yield from below(path, ignored)
                elif entry.is_file() and stat.S_ISREG(entry.stat().st_mode):
                    yield path
            except OSError:  # a link in a loop, or a subfolder that may not be read
                continue

    for count, path in enumerate(below(root, Ignored.at(root) if tracked else Ignored())):
        if count >= MOST_FILES:
            raise Refusal(f"{shown(root)}: more than {MOST_FILES:,} files; give a smaller folder")
        yield path


def listed(root: Path, tracked: bool = False) -> list[Path]:
    """The files below a folder, as from `walk`, or `root` itself if it is a file. Refusal if it cannot be read."""
    try:
        if not root.exists():
            raise Refusal(f"{shown(root)}: no such file or folder; check the path")
        if root.is_dir():
            os.listdir(root)
            return list(walk(root, tracked))
        if not root.is_file():
            raise Refusal(f"{shown(root)}: neither a file nor a folder; give the data as files")
        with open(root, "rb"):
            return [root]
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        if isinstance(error, Refusal):
            raise
        raise Refusal(f"{shown(root)}: {reason}; check the path and its permissions") from error


def kinds(paths: list[Path]) -> str:
    """ "12 .png, 3 .svg": the number of files by extension, most frequent first."""
    counts = Counter(path.suffix.lower() or "without extension" for path in paths)
    named = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count:,} {shown(kind)}" for kind, count in named[:12]) + (", ..." if len(named) > 12 else "")
