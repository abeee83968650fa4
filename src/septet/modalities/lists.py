"""Lists: texts in which each line is an independent item, such as a name."""

from collections.abc import Iterable, Sequence

MANY = 50  # distinct items from which a text counts as a list
SHORT = 40  # characters of an item, at most
FEW_WORDS = 4  # per line, mean, at most
NEARLY_ALL = 0.95
LOOKED_AT = 1 << 20  # characters of a text that are inspected
STOPS = tuple(".,;:!?{}\u2026\u3001\u3002\uff01\uff0c\uff1f")  # the end of lines in running text or code


def items(texts: Iterable[str]) -> list[str]:
    """The non-empty lines of all texts, stripped."""
    return [line.strip() for text in texts for line in text.split("\n") if line.strip()]


def is_list(texts: Sequence[str]) -> bool:
    """Whether every text looks like a list: many short lines that are not (parts of) sentences. Texts of one line are
    judged together."""
    whole = [text.strip("\n") for text in texts]
    single = "\n".join(text for text in whole if "\n" not in text)
    several = [text for text in whole if "\n" in text]
    return all(map(_plain, [*several, single] if single else several)) and len(set(items(texts))) >= MANY


def _plain(text: str) -> bool:
    """Whether nearly all lines, empty ones included, are short, begin with a letter or digit, end without punctuation,
    and have few words. Only the first LOOKED_AT characters are inspected."""
    lines = text[:LOOKED_AT].split("\n")
    words = sum(len(line.split()) for line in lines)
    return _nearly_all(map(_is_item, lines), len(lines)) and words <= FEW_WORDS * len(lines)


def _is_item(line: str) -> bool:
    line = line.rstrip()
    return 0 < len(line) <= SHORT and line[0].isalnum() and not line.endswith(STOPS)


def _nearly_all(answers: Iterable[bool], count: int) -> bool:
    return sum(answers) >= NEARLY_ALL * count
