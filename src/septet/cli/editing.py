"""Given content of `septet generate`: a file to continue, fill in or vary."""

from dataclasses import dataclass
from pathlib import Path

from ..generator import Generator, Given
from ..space import Refusal

LIKE = 0.6  # the strength of "more like this"


@dataclass(frozen=True)
class Edit:
    """The options that concern a given file or an interpolation. `where` names a part, see Modality.region."""

    given: Path | None
    where: str | None
    strength: float | None
    like: Path | None
    end_prompt: str | None
    end_seed: int | None


def given_of(model: Generator, edit: Edit, prompt: str | None) -> Given | None:
    """The given content; None if there is none. Raises Refusal if options do not go together."""
    path, where, strength = edit.given, edit.where, edit.strength
    if edit.like is not None:
        if path is not None or where is not None:
            raise Refusal("--like cannot be combined with --given or --where; give one file")
        path, strength = edit.like, LIKE if strength is None else strength
    if path is None:
        if where is not None or strength is not None:
            raise Refusal("--where and --strength change a given file; add --given FILE")
        return None
    if where is not None and strength is not None:
        raise Refusal("--where and --strength cannot be combined; give one of the two")
    if model.begins and prompt and strength is None:
        raise Refusal(f"--given {path} and the prompt {prompt[:40]!r}: each is a beginning; give one of the two")
    content = model.modality.preprocess(model.modality.read(path))
    if strength is not None:
        return Given(content, strength=strength)
    if where is not None:
        return Given(content, where=model.modality.region(where, content))
    try:
        model.codec.encode_known(content)
    except Refusal as error:
        raise Refusal(f"--given {path}: {error}; give --where, or --strength X (0 to 1)") from error
    return Given(content)


def beginning(given: Given | None, prompt: str | None) -> str | None:
    """The text that the outputs continue, which the model did not generate."""
    return given.content if given is not None and isinstance(given.content, str) and given.strength is None else prompt
