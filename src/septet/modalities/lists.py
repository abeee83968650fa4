"""Lists: texts whose every line is an item, such as names, and has nothing to do with the lines beside it."""

from collections.abc import Iterable, Sequence

MANY = 50  # different items from which lines are taken for a list
SHORT = 40  # characters
FEW_WORDS = 4  # a line, on average
NEARLY_ALL = 0.95
LOOKED_AT = 1 << 20  # characters of a text
STOPS = tuple(".,;:!?{}\u2026\u3001\u3002\uff01\uff0c\uff1f")  # what a line of a text or of code ends with


def items(texts: Iterable[str]) -> list[str]:
    """The lines of all texts that hold anything, without the space around them."""
    return [line.strip() for text in texts for line in text.split("\n") if line.strip()]


def is_list(texts: Sequence[str]) -> bool:
    """Whether the lines of every text look like items: many and short, not sentences or parts of them. Texts of one
    line are judged together."""
    whole = [text.strip("\n") for text in texts]
    single = "\n".join(text for text in whole if "\n" not in text)
    several = [text for text in whole if "\n" in text]
    return all(map(_plain, [*several, single] if single else several)) and len(set(items(texts))) >= MANY


def _plain(text: str) -> bool:
    """Whether nearly every line is short, begins with a letter or digit and ends without a stop; with few words, and
    hardly an empty line between. Of a long text its beginning tells."""
    lines = text[:LOOKED_AT].split("\n")
    words = sum(len(line.split()) for line in lines)
    return _nearly_all(map(_is_item, lines), len(lines)) and words <= FEW_WORDS * len(lines)


def _is_item(line: str) -> bool:
    line = line.rstrip()
    return 0 < len(line) <= SHORT and line[0].isalnum() and not line.endswith(STOPS)


def _nearly_all(answers: Iterable[bool], count: int) -> bool:
    return sum(answers) >= NEARLY_ALL * count
