"""Test cases of code completion: a cursor in a file, and the rest of its line.

A line is cut after a Python token, or before its first one. A space at the cut is part of the text to complete, since
models whose tokens begin with a space cannot begin after one. Spaces at both ends of a completion are ignored.
"""

import io
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np

LEAST = 4  # characters of the rest of a line, at least
SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


@dataclass(frozen=True)
class Case:
    """A cursor in a file: the text before it, the rest of its line (to complete), and the text from the line's end
    on."""

    package: str
    path: str
    before: str
    line: str
    after: str


def cuts(text: str) -> list[tuple[int, str, int]]:
    """(cut, rest of the line, end of the line) for every position at which a line can be cut. A comment at the end of a
    line is not part of its rest."""
    begins = np.cumsum([0, *(len(line) + 1 for line in text.split("\n"))]).tolist()
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return []
    found, lines = [], text.split("\n")
    for token, following in pairwise(tokens):
        if following.type in SKIPPED or following.start[0] != following.end[0]:
            continue
        row, column = following.start
        first = token.end[0] < row or token.type in SKIPPED
        begin = column if first else token.end[1]
        rest = lines[row - 1][begin:].split("  #")[0].rstrip()
        words = sum(character.isalnum() for character in rest)
        if len(rest.strip()) >= LEAST and words >= 2 and '"""' not in rest:
            found.append((begins[row - 1] + begin, rest, begins[row - 1] + len(lines[row - 1])))
    return found


def cases(files: Sequence[tuple[str, str, str]], count: int, seed: int = 0) -> list[Case]:
    """`count` cases from (package, path, text) files: packages in turn, a random file, a random position in it."""
    stream = np.random.Generator(np.random.Philox(seed))
    of_package: dict[str, list[tuple[str, str, str]]] = {}
    for file in files:
        of_package.setdefault(file[0], []).append(file)
    found: list[Case] = []
    while len(found) < count:
        for some in of_package.values():
            package, path, text = some[int(stream.integers(len(some)))]
            places = cuts(text)
            if places and len(found) < count:
                cut, line, end = places[int(stream.integers(len(places)))]
                before = text[:cut].removesuffix(" ")
                found.append(Case(package, path, before, text[len(before) : cut] + line, text[end:]))
    return found


def exact(drawn: str, line: str) -> bool:
    return drawn.split("\n")[0].strip() == line.strip()


def similarity(drawn: str, line: str) -> float:
    """2 M / T, with M matching of T characters in all (Ratcliff & Metzener 1988), as CodeXGLUE's edit similarity."""
    return SequenceMatcher(None, drawn.split("\n")[0].strip(), line.strip(), autojunk=False).ratio()
