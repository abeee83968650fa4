"""The words of a prompt."""

import re

from ..contracts import Prompt

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
# They name nothing that could be drawn, so nobody need be told that captions lacked them. Words that turn a meaning
# round ("off", "no", "without", "under") are not among them.
FUNCTION_WORDS = frozenset(
    WORD.findall(
        "a about an and are as at be been being between by for from had has have her his i in into is it it's its me "
        "my of on onto or our she he so some such than that the their them then there these they this those to very "
        "was we were which while who whose will with you your"
    )
)


def words_of(prompt: Prompt) -> list[str]:
    """The lower-case words of a prompt, in order."""
    text = ", ".join(prompt.values()) if isinstance(prompt, dict) else prompt or ""
    return WORD.findall(text.lower())


def content_words(prompt: Prompt) -> list[str]:
    """The words of a prompt that name or describe something, each once."""
    return [word for word in dict.fromkeys(words_of(prompt)) if word not in FUNCTION_WORDS]
