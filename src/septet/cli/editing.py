"""What `septet generate` changes or goes on from: a given file, a mask, the beginning of a text."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..generator import Generator, Given
from ..space import Refusal

LIKE = 0.6  # the strength of "more like this"


@dataclass(frozen=True)
class Edit:
    """A given file and what is to become of it."""

    image: Path | None
    mask: Path | None
    strength: float | None
    like: Path | None
    end_prompt: str | None
    end_seed: int | None


def given_of(model: Generator, edit: Edit, prompt: str | None) -> Given | None:
    if model.begins and prompt and edit.image is not None:
        raise Refusal(f"--image {edit.image} and the prompt {prompt[:40]!r}: each is a beginning; give one of the two")
    if edit.like is not None:
        if edit.image is not None or edit.mask is not None:
            raise Refusal("--like goes without --image and --mask: give one file to go by")
        strength = LIKE if edit.strength is None else edit.strength
        return Given(model.modality.fit(model.modality.read(edit.like)), strength=strength)
    if edit.image is None:
        _refuse_stray(edit)
        return None
    if edit.mask is not None and edit.strength is not None:
        raise Refusal("--mask and --strength: give one of the two")
    if edit.mask is None and edit.strength is None:
        if model.modality.name == "image":
            raise Refusal("--image needs --mask FILE (white where it is to be drawn anew) or --strength X (0 to 1)")
        return Given(model.modality.read(edit.image))
    content = model.modality.fit(model.modality.read(edit.image))
    if edit.mask is None:
        return Given(content, strength=edit.strength)
    if model.modality.name != "image":
        raise Refusal(f"--mask: {model.name} draws {model.modality.name}, and a mask is for pictures; leave it out")
    drawn = Image.fromarray(model.modality.read(edit.mask)).convert("L")
    drawn = drawn.resize(content.shape[1::-1], Image.Resampling.NEAREST)
    return Given(content, where=np.asarray(drawn) < 128)


def beginning(given: Given | None, prompt: str | None) -> str | None:
    """The text that the outputs go on from, which is not the model's own."""
    return given.content if given is not None and isinstance(given.content, str) and given.strength is None else prompt


def _refuse_stray(edit: Edit) -> None:
    if edit.mask is not None or edit.strength is not None:
        raise Refusal("--mask and --strength need --image FILE, the file to change")
