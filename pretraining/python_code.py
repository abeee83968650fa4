"""Builds the Python code for the starter `python`: python pretraining/python_code.py [OUT.jsonl] [ARCHIVES].

The code is from the standard library and permissively licensed packages; each package belongs to one split."""

import argparse
import hashlib
import json
import re
import sys
import sysconfig
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from packages import fetch

from septet.data.duplicates import near, signature
from septet.modalities.code import Code
from septet.modalities.text import decode
from septet.space import Refusal
from septet.storage import whole

CACHE = Path.home() / ".cache" / "septet-build"
PACKAGES = Path(__file__).with_name("python_packages.json")  # name: version, SHA-256 of the wheel, licence, split
PYTHON = (3, 11)  # the version whose standard library is used
MOST_CHARACTERS = 2_000_000  # limit per package
STDLIB_CHARACTERS = 14_000_000
LONGEST, WIDEST = 150_000, 300  # most characters of a file, and of a line
DIGITS = 0.15  # files with a larger share of digits are tables
OTHERS = re.compile(
    r"(^|/)(tests?|testing|_?vendor(ed)?|locale|migrations|idlelib|lib2to3|encodings|pydoc_data|turtledemo|site-packages"
    r"|dist-packages)/|(^|/)(test_|conftest)|_test\.py$|_pb2(_grpc)?\.py$"
)
MADE = re.compile(r"(auto-?|automatically )?generated (by|from|with)|do not (edit|modify)", re.IGNORECASE)
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Source:
    """One file of a package, and its split."""

    package: str
    path: str
    split: str
    text: str


def packages() -> dict[str, tuple[str, str, str, str]]:
    return {name: tuple(facts) for name, facts in json.loads(PACKAGES.read_text()).items()}


def standard_library() -> Iterator[tuple[str, bytes]]:
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root).as_posix(), path.read_bytes()


def wheel(archive: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(opened.namelist()):
            if name.endswith(".py"):
                yield name, opened.read(name)


def kept(files: Iterator[tuple[str, bytes]], most: int) -> Iterator[tuple[str, str]]:
    """Files that were written by people, in the order of the hashes of their names, up to `most` characters in
    total."""
    code, total = Code(), 0
    for path, content in sorted(files, key=lambda pair: hashlib.sha256(pair[0].encode()).digest()):
        if OTHERS.search(path) or len(content) > LONGEST:
            continue
        try:
            text = decode(content)
        except Refusal:
            continue
        digits = sum(c.isdigit() for c in text) / max(1, len(text))
        if max(map(len, text.split("\n"))) > WIDEST or digits > DIGITS or MADE.search(text[:2000]):
            continue
        for piece, _ in code.pieces(text):
            total += len(piece)
            if total > most:
                return
            yield path, piece


def sources(archives: Path) -> Iterator[Source]:
    if sys.version_info[:2] != PYTHON:
        raise Refusal(f"Python {sys.version_info[0]}.{sys.version_info[1]}: the standard library of 3.11 is needed")
    yield from (Source("Python", path, "train", t) for path, t in kept(standard_library(), STDLIB_CHARACTERS))
    for name, (version, sha256, _, split) in packages().items():
        archive = fetch(f"pip:{name}", version, sha256, archives)
        yield from (Source(name, path, split, text) for path, text in kept(wheel(archive), MOST_CHARACTERS))


def apart(found: list[Source]) -> list[Source]:
    """Keeps one of each group of near duplicates; a held-out one if the group is in several splits."""
    code = Code()
    signatures = np.stack([signature(code.shingles(source.text)) for source in found])
    groups = near(signatures, lambda i: code.shingles(found[i].text))
    best = [min(group, key=lambda i: (-SPLITS.index(found[i].split), i)) for group in groups]
    return [found[i] for i in sorted(best)]


def build(out: Path, archives: Path = CACHE) -> None:
    """Writes all files to `out` as JSON lines."""
    found = apart(list(sources(archives)))
    out.parent.mkdir(parents=True, exist_ok=True)
    whole.write(out, "".join(json.dumps(asdict(source)) + "\n" for source in found).encode())


def load(path: Path = CACHE / "python.jsonl") -> list[Source]:
    with open(path) as file:
        return [Source(**json.loads(line)) for line in file]


def report(path: Path) -> str:
    """Numbers of files and characters by split, and the largest packages."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for source in load(path):
        counts[source.split]["files"] += 1
        counts[source.split]["characters"] += len(source.text)
        counts[source.split]["packages " + source.package] += 1
    rows = []
    for split in SPLITS:
        names = sum(name.startswith("packages ") for name in counts[split])
        rows.append(f"{split:10s} {names:4d} packages {counts[split]['files']:7,d} files "
                    f"{counts[split]['characters']:12,d} characters")  # fmt: skip
    return "\n".join(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=CACHE / "python.jsonl")
    parser.add_argument("archives", nargs="?", type=Path, default=CACHE)
    options = parser.parse_args()
    build(options.out, options.archives)
    print(report(options.out))
    print(options.out)
