"""The words of prompts, and their content by name."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..contracts import Modality, Prompt
from ..modalities.digests import sha256_of
from ..space import Refusal

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
# They name nothing that could be generated, so no warning is given if the captions lack them. Words that reverse a
# meaning ("off", "no", "without", "under") are not among them.
FUNCTION_WORDS = frozenset(
    WORD.findall(
        "a about an and are as at be been being between by for from had has have her his i in into is it it's its me "
        "my of on onto or our she he so some such than that the their them then there these they this those to very "
        "was we were which while who whose will with you your"
    )
)


def words_of(prompt: Prompt) -> list[str]:
    """The lower-case words of a prompt without content, in order."""
    return WORD.findall(joined(prompt).lower())


def joined(prompt: Prompt) -> str:
    """A prompt without content as one text."""
    return ", ".join(prompt.values()) if isinstance(prompt, Mapping) else prompt or ""


def content_words(prompt: Prompt) -> list[str]:
    """The distinct words of a prompt, without function words."""
    return [word for word in dict.fromkeys(words_of(prompt)) if word not in FUNCTION_WORDS]


def spoken(prompt: Prompt, contents: Mapping[str, Modality]) -> Prompt:
    """A prompt without its content: a text if nothing else is left."""
    if not contents or not isinstance(prompt, Mapping):
        return prompt
    said = {name: value for name, value in prompt.items() if name not in contents}
    return said["text"] if set(said) == {"text"} else said or None


def fitted(prompts: Sequence[Prompt], contents: Mapping[str, Modality]) -> list[Prompt]:
    """Prompts with content converted by its modality (`take`, then `fit`); repeated prompts are converted once."""
    done = {id(prompt): _of_prompt(prompt, contents) for prompt in prompts}
    return [done[id(prompt)] for prompt in prompts]


def _of_prompt(prompt: Prompt, contents: Mapping[str, Modality]) -> Prompt:
    if not isinstance(prompt, Mapping):
        return prompt
    return {name: _fitted(name, value, contents) for name, value in prompt.items() if value is not None} or None


def _fitted(name: str, value: Any, contents: Mapping[str, Modality]) -> Any:
    modality = contents.get(name)
    if modality is None:
        return value
    try:
        return modality.preprocess(modality.take(value))
    except Refusal as error:
        raise Refusal(f"{name}: {error}") from error


def recorded(prompt: Prompt, contents: Mapping[str, Modality]) -> Any:
    """A prompt as written to a record: content is replaced by its SHA-256."""
    if not isinstance(prompt, Mapping):
        return prompt
    return {name: {"sha256": sha256_of(value)} if name in contents else value for name, value in prompt.items()}
