"""Lines of code to be completed: what a cursor sees, and what stood there.

A case is cut after a token of Python in a line of code, or before its first; one space at the cut belongs to what is to
be completed, since models that read words with the space before them cannot begin after one. Spaces at the ends of a
completion do not count.
"""

import io
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np

LEAST = 4  # characters of a line's rest that make it worth completing
SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


@dataclass(frozen=True)
class Case:
    """A place in a file: the text before it, what follows in its line, and the text after that, from the line's end."""

    package: str
    path: str
    before: str
    line: str
    after: str


def cuts(text: str) -> list[tuple[int, str, int]]:
    """(cut, what follows it in its line, end of the line): every place of a file at which a line of code can be cut. A
    comment at a line's end is left out."""
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
    """`count` cases out of (package, path, text) files: packages by turns, files at random, one place of each."""
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
    """2 M / T of the matching characters (Ratcliff & Metzener 1988), as in CodeXGLUE's edit similarity."""
    return SequenceMatcher(None, drawn.split("\n")[0].strip(), line.strip(), autojunk=False).ratio()
