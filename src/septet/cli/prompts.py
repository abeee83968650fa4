"""The requests of `septet generate`: prompts, seeds and files, from arguments or from a CSV file."""

import csv
import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..contracts import Prompt
from ..generator import Generator
from ..processes.settings import pairs, typed
from ..processes.streams import checked_seed
from ..space import Refusal

LONGEST_PROMPT = 10_000  # characters
MOST = 1_000_000  # outputs per prompt


@dataclass(frozen=True)
class GenerateCommand:
    """The arguments of the command."""

    what: str
    model: str | None
    prompt: str | None
    options: list[str]
    count: int
    seed: int
    prompts: Path | None
    out: Path
    tile: int
    suffix: str | None
    device: str


@dataclass(frozen=True)
class Row:
    """A prompt with a seed, its name in the table, and the path of its output, None for the next free one. `files` are
    the content in the prompt, by name."""

    prompt: str | None
    seed: int
    path: Path | None = None
    name: str | None = None
    files: tuple[tuple[str, Path], ...] = ()


def options_of(words: list[str]) -> dict[str, Any]:
    """Parses `setting=value` words; each value is an int, a float or a string."""
    refused = "setting {!r}: expected name=value; put a prompt of several words in quotes".format
    return {name: typed(value) for name, value in pairs(words, refused).items()}


def parted(words: list[str], model: Generator) -> tuple[dict[str, Path], list[str]]:
    """Splits words into the files of `name=@FILE`, which belong to the prompt, and the other words."""
    pairs = {word: word.partition("=@") for word in words if "=@" in word}
    for word, (name, _, _) in pairs.items():
        if name not in model.conditioner.contents:
            raise Refusal(f"{word}: {_taken(model)}")
    return {name: Path(path) for name, _, path in pairs.values()}, [word for word in words if word not in pairs]


def _taken(model: Generator) -> str:
    kinds = [f"{name}=@FILE ({modality.name})" for name, modality in model.conditioner.contents.items()]
    return f"{model.name} takes {' and '.join(kinds) or 'no files in its prompts'}"


def with_content(rows: Sequence[Row], model: Generator) -> list[Prompt]:
    """The prompts of `rows` with the content of their files. Each file is read once."""
    contents = model.conditioner.contents
    read = functools.cache(lambda name, path: contents[name].preprocess(contents[name].read(path)))
    own = [{name: read(name, path) for name, path in row.files} for row in rows]
    words = [{"text": row.prompt} if row.prompt else {} for row in rows]
    return [{**said, **given} if given else row.prompt for row, said, given in zip(rows, words, own, strict=True)]


def rows_of(request: GenerateCommand, model: Generator) -> list[Row]:
    """One row per output; raises Refusal for an impossible count, seed or prompt."""
    files, _ = parted(request.options, model)
    if request.prompts is None:
        asked = [(request.prompt, request.count, request.seed, None, files)]
    else:
        asked = [_asked(line, request, files, model) for line in _lines(request.prompts)]
    for prompt, count, seed, _, _ in asked:
        if not 1 <= count <= MOST:
            raise Refusal(f"count={count}: expected 1 to {MOST:,}")
        checked_seed(seed + count - 1 if seed >= 0 else seed)
        if prompt is not None and len(prompt) > LONGEST_PROMPT:
            raise Refusal(f"the prompt has {len(prompt):,} characters, of at most {LONGEST_PROMPT:,}; shorten it")
        if prompt is not None and any(0xD800 <= ord(c) <= 0xDFFF for c in prompt):
            raise Refusal("the prompt contains bytes that are not UTF-8; write it in UTF-8")
    rows = [
        Row(prompt, seed + k, name=name, files=tuple(own.items()))
        for prompt, count, seed, name, own in asked
        for k in range(count)
    ]
    suffix = request.suffix or model.modality.suffixes[0]
    return rows if request.prompts is None else _named(rows, request.out, suffix, model.name)


def _lines(path: Path) -> list[dict[str, str | None]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refusal(f"{path} cannot be read as CSV: {error}") from error
    if not lines or "prompt" not in lines[0]:
        raise Refusal(
            f"{path}: expected a first line naming the columns prompt, name, count, seed, then at least one row"
        )
    over = next((row for row, line in enumerate(lines, 1) if any(line.get(None, ()))), None)  # pyright: ignore
    if over:
        raise Refusal(f"{path}: row {over} has more fields than there are columns; put a prompt with commas in quotes")
    return lines


def _asked(
    line: dict[str, str | None], request: GenerateCommand, files: dict[str, Path], model: Generator
) -> tuple[str, int, int, str, dict[str, Path]]:
    """The prompt, count, seed, name and files of a line of the CSV file; file names are relative to it."""
    prompt, beside = line["prompt"] or "", request.prompts.parent if request.prompts else Path()
    named = {name: line.get(name) for name in model.conditioner.contents}
    files = files | {name: beside / value.removeprefix("@") for name, value in named.items() if value}
    try:
        count, seed = int(line.get("count") or request.count), int(line.get("seed") or request.seed)
    except ValueError as error:
        raise Refusal(f"{request.prompts}: count and seed must be whole numbers, got {line}") from error
    return prompt, count, seed, line.get("name") or prompt, files


def _named(rows: list[Row], out: Path, suffix: str, default: str) -> list[Row]:
    """The rows with their output paths, the same in every call; numbers distinguish equal names. Repeated rows, of the
    same prompt and seed, are dropped."""
    taken: dict[Path, Row] = {}
    numbers = Counter[str]()  # the last one tried for each name and seed; all before it are taken
    for row in dict.fromkeys(rows):
        name = "".join(c if c.isalnum() or c in "-_" else "-" for c in row.name or "")[:64].strip("-") or default
        path, stem = None, f"{name}-{row.seed}"
        while path is None or path in taken:
            numbers[stem] += 1
            path = out / f"{stem}{'' if numbers[stem] == 1 else f'-{numbers[stem]}'}{suffix}"
        taken[path] = row
    return [replace(row, path=path) for path, row in taken.items()]
