"""Captions of files: from a text file beside it, a metadata table, or the names of the file and its folders."""

import csv
import io
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ..contracts import Prompt
from ..modalities.text import decode
from ..space import Refusal
from .files import shown

TABLES = ("metadata.jsonl", "metadata.csv")
NAME_COLUMNS = ("file_name", "filename", "image")
TEXT_COLUMNS = ("text", "caption", "prompt")
TABLE_BYTES, CAPTION_BYTES, COLUMNS = 1 << 30, 1 << 20, 1000

WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|[^\W\d_]+|\d+")
HASH = re.compile(r"(?=[0-9a-f-]*\d)(?=[0-9a-f-]*[a-f])[0-9a-f]{8,}(-[0-9a-f]{4,})*|[0-9a-f]{32,}", re.I)
RANDOM = re.compile(r"(?=.{10,}$)\w*\d[A-Za-z]+\d+[A-Za-z]\w*")  # alternating letters and digits, as in identifiers
CAMERAS = frozenset(
    ("img", "dsc", "dscn", "dscf", "dcim", "pxl", "mvi", "vid", "gopr", "dji", "px", "untitled", "unnamed")
)
NUMBERED = frozenset(  # words without meaning in "photo 12", but not in "photo" or "file plus"
    (
        "image",
        "images",
        "picture",
        "pictures",
        "pic",
        "photo",
        "scan",
        "screenshot",
        "frame",
        "file",
        "download",
        "copy",
    )
)
STRUCTURE = frozenset(
    (
        "train",
        "training",
        "test",
        "val",
        "valid",
        "validation",
        "data",
        "dataset",
        "png",
        "jpg",
        "jpeg",
        "webp",
        "svg",
        "txt",
    )
)


def words(name: str) -> str:
    """The words in the name of a file or folder, in lower case; "" if it has no meaningful words."""
    name = re.sub(r"@\d+x|(?<![^\W_])\d+x\d+(?![^\W_])", " 0 ", name)  # sizes count as numbers
    tokens = [t for t in re.split(r"[\s_.+~,;@()\[\]{}#&=]+", name) if not (HASH.fullmatch(t) or RANDOM.fullmatch(t))]
    found = [word.lower() for token in tokens for word in WORD.findall(token)]
    said = [word for word in found if not word.isdigit() and word not in CAMERAS]
    return "" if len(said) < len(found) and NUMBERED.issuperset(said) else " ".join(said)


def from_names(relative: Path) -> str | None:
    """ "weapons/iron_sword-02.png" gives "weapons, iron sword". A folder of one or two digits is a label, which is used
    if there are no words."""
    *outer, own = (os.fsencode(part).decode("utf-8", "ignore") for part in relative.with_suffix("").parts)
    said = [words(part) for part in outer if part.lower() not in STRUCTURE]
    said = [part for part in [*said, words(own)] if part]
    labels = [part for part in outer if re.fullmatch(r"\d{1,2}", part)]
    return ", ".join(dict.fromkeys(said)) or (labels[-1] if labels else None)


def _row_prompt(row: dict[str, Any]) -> Prompt:
    """The text column, else a dict of the other columns with plain values."""
    for column in TEXT_COLUMNS:
        if isinstance(row.get(column), str) and row[column].strip():
            return row[column].strip()
    plain = {k: v for k, v in row.items() if k not in NAME_COLUMNS and isinstance(v, str | int | float | bool)}
    return {str(k): str(v).strip() for k, v in plain.items() if str(v).strip()} or None


def _json_rows(text: str) -> Iterator[dict[str, Any] | None]:
    for line in text.split("\n"):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            yield row if isinstance(row, dict) else None


def _csv_rows(text: str) -> Iterator[dict[str, Any] | None]:
    """Yields None for a malformed row, and for one with more fields than columns, such as an unquoted caption with
    commas. Raises Refusal for a quotation mark that is never closed, since it would swallow all later rows."""
    limit = csv.field_size_limit(len(text) + 1)  # set for the whole process; the default fails at a long caption
    reader, columns = csv.reader(io.StringIO(text), strict=True), None
    try:
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                if "end of data" in str(error):
                    raise Refusal(f"the quotation mark that opens in line {line} is never closed") from error
                yield None
                continue
            if row is None:
                return
            if columns is None:
                columns = row
            elif row:
                yield None if any(row[len(columns) :]) else dict(zip(columns, row, strict=False))
    finally:
        csv.field_size_limit(limit)


def table(path: Path, contents: Collection[str] = ()) -> tuple[dict[str, Prompt], int, dict[str, dict[str, str]]]:
    """Reads a metadata file: prompts by file name, the number of unusable rows, and the files in the columns
    `contents`."""
    if path.stat().st_size > TABLE_BYTES:
        raise Refusal(f"{shown(path)}: more than {TABLE_BYTES:,} bytes; split it among the subfolders")
    try:
        text = decode(path.read_bytes())
    except (OSError, Refusal) as error:
        raise Refusal(f"{shown(path)}: {error}; correct or remove it") from error
    first = text.partition("\n")[0]
    if path.suffix == ".csv" and first.count(",") >= COLUMNS:
        raise Refusal(f"{shown(path)}: more than {COLUMNS} columns; keep file_name and text or a few attributes")
    prompts: dict[str, Prompt] = {}
    files: dict[str, dict[str, str]] = {}
    unusable = 0
    try:
        for row in _json_rows(text) if path.suffix == ".jsonl" else _csv_rows(text):
            name = next((row[c] for c in NAME_COLUMNS if isinstance(row.get(c), str) and row[c]), None) if row else None
            long = any(isinstance(v, str) and len(v) > CAPTION_BYTES for v in (row or {}).values())
            if row is None or name is None or long or len(row) > COLUMNS:
                unusable += 1
            else:
                key, own = _posix(name), {n: row.pop(n) for n in contents if n in row}
                if named := {n: _posix(v) for n, v in own.items() if isinstance(v, str) and v.strip()}:
                    files[key] = named
                prompts[key] = _row_prompt(row)
    except Refusal as error:
        raise Refusal(f"{shown(path)}: {error}; correct or remove the file") from error
    return prompts, unusable, files


def _posix(name: str) -> str:
    return str(PurePosixPath(name.strip().replace("\\", "/")))


class Captions:
    """The prompts of the files below `root`. `counts` has the number of prompts by origin, `remarks` sentences about
    problems. `contents` are the columns of tables that hold file names, relative to the table."""

    def __init__(self, root: Path, contents: Collection[str] = ()):
        self.root, self.contents, self.remarks = root, contents, []
        self.files: dict[Path, dict[str, Path]] = {}  # the files in a file's prompt, by name
        self.counts = {"from text files": 0, "from metadata": 0, "from names": 0, "none": 0}
        self.tables: dict[Path, dict[str, Prompt]] = {}

    def of(self, path: Path) -> Prompt:
        looks = {"from text files": _beside, "from metadata": self._tabled, "from names": self._named}
        for origin, look in looks.items():
            prompt = look(path)
            if prompt:
                self.counts[origin] += 1
                return prompt
        self.counts["none"] += 1
        return None

    def _named(self, path: Path) -> Prompt:
        return from_names(path.relative_to(self.root))

    def _tabled(self, path: Path) -> Prompt:
        inside = path.relative_to(self.root)
        for folder in [self.root / parent for parent in inside.parents]:
            if folder not in self.tables:
                self.tables[folder] = self._read_tables(folder)
            prompt = self.tables[folder].get(path.relative_to(folder).as_posix())
            if prompt:
                return prompt
        return None

    def served(self, tables: Iterable[Path]) -> set[Path]:
        """The files that tables name as part of prompts and that are not items themselves."""
        for folder in dict.fromkeys(path.parent for path in tables):
            if folder not in self.tables:
                self.tables[folder] = self._read_tables(folder)
        return {path for own in self.files.values() for path in own.values()} - set(self.files)

    def _inside(self, folder: Path, name: str) -> Path:
        path = Path(os.path.normpath(folder / name))
        if not path.is_relative_to(self.root):
            raise Refusal(
                f"{shown(folder)}: its table names {shown(name)}, outside {shown(self.root)}; move that file inside"
            )
        return path

    def _read_tables(self, folder: Path) -> dict[str, Prompt]:
        prompts: dict[str, Prompt] = {}
        for name in TABLES:
            if (folder / name).is_file():
                found, unusable, files = table(folder / name, self.contents)
                prompts |= found
                for item, own in files.items() if self.contents else ():
                    self.files[self._inside(folder, item)] = {n: self._inside(folder, v) for n, v in own.items()}
                if unusable:
                    self.remarks.append(f"{unusable:,} rows of {shown(folder / name)} could not be used.")
        return prompts

    def sentence(self) -> str:
        said = [f"{count:,} {origin}" for origin, count in self.counts.items() if count and origin != "none"]
        without = f"; {self.counts['none']:,} items have none" if self.counts["none"] else ""
        return f"Captions: {', '.join(said) or 'none found'}{without if said else ''}."


def _beside(path: Path) -> Prompt:
    """The content of `name.txt` beside `name.png`."""
    beside = path.with_suffix(".txt")
    if beside == path or not beside.is_file():
        return None
    try:
        with open(beside, "rb") as file:
            return " ".join(decode(file.read(CAPTION_BYTES)).split()) or None
    except (OSError, Refusal):
        return None
