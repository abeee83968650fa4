"""What `septet generate` changes or goes on from: a given file, and which part of it is drawn anew."""

from dataclasses import dataclass
from pathlib import Path

from ..generator import Generator, Given
from ..space import Refusal

LIKE = 0.6  # the strength of "more like this"


@dataclass(frozen=True)
class Edit:
    """A given file, the part of it that is drawn anew, as the modality reads it, and what else is to become of it."""

    given: Path | None
    where: str | None
    strength: float | None
    like: Path | None
    end_prompt: str | None
    end_seed: int | None


def given_of(model: Generator, edit: Edit, prompt: str | None) -> Given | None:
    """What the draws are told besides their prompts."""
    path, where, strength = edit.given, edit.where, edit.strength
    if edit.like is not None:
        if path is not None or where is not None:
            raise Refusal("--like goes without --given and --where: give one file to go by")
        path, strength = edit.like, LIKE if strength is None else strength
    if path is None:
        if where is not None or strength is not None:
            raise Refusal("--where and --strength need --given FILE, the file to change")
        return None
    if where is not None and strength is not None:
        raise Refusal("--where and --strength: give one of the two")
    if model.begins and prompt and strength is None:
        raise Refusal(f"--given {path} and the prompt {prompt[:40]!r}: each is a beginning; give one of the two")
    content = model.modality.fit(model.modality.read(path))
    if strength is not None:
        return Given(content, strength=strength)
    if where is not None:
        return Given(content, where=model.modality.region(where, content))
    try:
        model.codec.known(content)
    except Refusal as error:
        raise Refusal(f"--given {path}: {error}; give --where, or --strength X (0 to 1)") from error
    return Given(content)


def beginning(given: Given | None, prompt: str | None) -> str | None:
    """The text that the outputs go on from, which is not the model's own."""
    return given.content if given is not None and isinstance(given.content, str) and given.strength is None else prompt
