"""Where one output came from: drawn again from its record, compared, and drawn with words of its prompt left out."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from PIL import ImageSequence

from ..conditioners.attributes import Attributes
from ..conditioners.prompts import WORD
from ..contracts import Prompt
from ..data.batches import evenly
from ..generator import Generator, Given
from ..modalities.digests import digest
from ..output import CPU, Output
from ..processes.streams import checked_seed
from ..space import Refusal
from ..storage.pictures import PIXELS, opened
from .prompted import is_content

LOOKS = 10  # moments of a draw that are shown
MOST_TILE, MOST_THREADS = 1024, 256  # that a record may ask for
MOST_WORDS = 16  # of a prompt that are left out one at a time
KINDS: dict[str, Any] = {
    "model": str,
    "model_sha256": str,
    "seed": int,
    "settings": dict,
    "prompt": (str, dict, type(None)),
}
ABOUT = (
    "threads",
    "torch",
    "cpu",
    "device",
    "tile",
    "given",
    "interpolated",
)  # in a record's settings: none of the process's own


@dataclass(frozen=True)
class Moment:
    """One step of a draw and the guess at the finished datum that the model had there."""

    step: int
    steps: int
    datum: Any


@dataclass(frozen=True)
class Replay:
    """The output of a record drawn again, and moments of the draw."""

    output: Output
    moments: list[Moment]


@dataclass(frozen=True)
class Influence:
    """A word of a prompt, what is drawn without it from the same noise, and how far that is from the output, in units
    of how far a draw without any prompt is."""

    word: str
    datum: Any
    share: float


def checked(record: Mapping[str, Any], path: Path) -> None:
    """Refuses a record that septet cannot have written."""
    for key, kind in KINDS.items():
        if key not in record or not isinstance(record[key], kind) or isinstance(record[key], bool):
            found = f"{key}={str(record[key])[:60]!r}" if key in record else f"no {key}"
            raise Refusal(f"{path}: its record has {found}, which septet never writes; it cannot be drawn again")
    settings = record["settings"]
    for key, most in (("tile", MOST_TILE), ("threads", MOST_THREADS)):
        value = settings.get(key, 1)
        if type(value) is not int or not 1 <= value <= most:
            raise Refusal(f"{path}: its record has {key}={str(value)[:60]}; expected 1 to {most}")
    if isinstance(record["prompt"], dict) and not all(
        isinstance(value, str) or is_content(value) for value in record["prompt"].values()
    ):
        raise Refusal(f"{path}: its record has a prompt whose values are no texts, which septet never writes")
    checked_seed(record["seed"])


def not_replayable(record: Mapping[str, Any]) -> str | None:
    """Why a record alone is not enough to draw its output again; None where it is."""
    given = record["settings"].get("given")
    if "interpolated" in record["settings"]:
        return "It is a step between two outputs, which a record alone does not draw again."
    if given is not None and not (isinstance(given, dict) and isinstance(given.get("text"), str)):
        return "It was drawn around or after a given file, which the record does not hold."
    return None


def same_place(model: Generator, record: Mapping[str, Any]) -> bool:
    """Whether this machine draws as the record tells that its own did: another version of torch, other instructions or
    another device may round otherwise."""
    here = {"torch": torch.__version__, "cpu": CPU, "device": model.device.type}
    return all(record["settings"].get(key) == value for key, value in here.items())


def replay(model: Generator, record: Mapping[str, Any], prompt: Prompt) -> Replay:
    """Draws a record's output again, with as many threads; a process that cannot do what the record says refuses."""
    states, tile = [], record["settings"].get("tile", 1)
    for moment in _drawn(model, record, [prompt] * tile, tile):  # as many rows as then: bits depend on it
        state = moment.state
        states.append((state.step + 1, state.guess[:1].clone()))
        if moment.outputs:
            looks, steps = evenly(states, LOOKS), state.step + 1
            moments = [Moment(step, steps, datum) for step, guess in looks for datum in _seen(model, guess)]
            return Replay(moment.outputs[0], moments)
    raise Refusal("its record draws nothing")


def _seen(model: Generator, latents: torch.Tensor) -> Iterator[Any]:
    try:
        yield from model.shown(latents)
    except Refusal:  # half a drawing may not be one yet
        return


def _drawn(model: Generator, record: Mapping[str, Any], prompts: Sequence[Prompt], tile: int) -> Iterator[Any]:
    settings = record["settings"]
    if settings.get("given") and not model.modality.begins:
        raise Refusal("its record has a beginning that was given, and its model writes no texts; draw it anew")
    given = Given(settings["given"]["text"]) if settings.get("given") else None
    asked = {name: value for name, value in settings.items() if name not in ABOUT}
    with _threads(settings.get("threads")):
        yield from model.generating([(prompt, record["seed"]) for prompt in prompts], given, tile, **asked)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def matches(path: Path, output: Output, record: Mapping[str, Any]) -> bool:
    """Whether a file holds what an output written in its format holds."""
    with tempfile.TemporaryDirectory(prefix="septet-") as folder:
        again = Path(folder) / path.name
        output.modality.write(output.datum, again, dict(record))
        if again.read_bytes() == path.read_bytes():
            return True
        found, expected = list(_content(path, output)), list(_content(again, output))
        return bool(expected) and digest(found) == digest(expected)


def _content(path: Path, output: Output) -> Iterator[Any]:
    """What a file holds as its modality reads it; and all its frames, where it is a picture."""
    with suppress(Refusal):
        yield output.modality.read(path)
    with suppress(Refusal):
        yield opened(path, _frames)


def _frames(picture: Pillow.Image) -> list[np.ndarray]:
    if getattr(picture, "n_frames", 1) * picture.width * picture.height > PIXELS:
        raise Refusal(f"more than {PIXELS:,} pixels in all frames")
    return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(picture)]


def influences(model: Generator, record: Mapping[str, Any], datum: Any, prompt: Prompt) -> list[Influence]:
    """Of each word of the prompt, or attribute of it; nothing where there is no prompt."""
    if record["settings"].get("given"):
        return []
    without = [(word, p) for word, p in _without(model, prompt) if _heard(model, p)][:MOST_WORDS]
    if not without or not _heard(model, None):
        return []
    outputs = [o for m in _drawn(model, record, [None, *(p for _, p in without)], MOST_WORDS + 1) for o in m.outputs]
    drawn = [output.datum for output in outputs]
    features = model.modality.features([datum, *drawn])
    apart = (features - features[0]).norm(dim=1)
    shares = (apart[2:] / apart[1].clamp(min=1e-9)).tolist()
    return [Influence(word, d, share) for (word, _), d, share in zip(without, drawn[1:], shares, strict=True)]


def _heard(model: Generator, prompt: Prompt) -> bool:
    """Whether the model takes a prompt: one that has lost a word may be no label any more."""
    try:
        model.conditioner.prepare([prompt])
    except Refusal:
        return False
    return True


def _without(model: Generator, prompt: Prompt) -> Iterator[tuple[str, Prompt]]:
    """Each word, or attribute, and the prompt without it."""
    if prompt and isinstance(model.conditioner, Attributes):
        prompt = model.conditioner.parsed(prompt)
    if isinstance(prompt, Mapping):
        for name in prompt if len(prompt) > 1 else ():
            said = name if name in model.conditioner.contents else f"{name}={prompt[name]}"
            yield said, {n: v for n, v in prompt.items() if n != name}
    elif prompt:
        found = list(re.finditer(WORD, prompt))
        for word in found if len(found) > 1 else []:
            rest = prompt[: word.start()] + prompt[word.end() :]
            yield word[0], re.sub(r"\s+", " ", re.sub(r"(^|,)\s*,", r"\1", rest)).strip(" ,")
