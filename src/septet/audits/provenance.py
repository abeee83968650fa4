"""The origin of an output: generates it again from its record, compares, and omits words of its prompt."""

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

LOOKS = 10  # sampling steps that are shown
MOST_TILE, MOST_THREADS = 1024, 256  # upper limits in a record
MOST_WORDS = 16  # of a prompt that are omitted one at a time
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
)  # in a record's settings, but not settings of the process


@dataclass(frozen=True)
class Moment:
    """A sampling step, and the model's prediction of the final datum at that step."""

    step: int
    steps: int
    datum: Any


@dataclass(frozen=True)
class Replay:
    """The output that was generated again from a record, and some steps of its sampling."""

    output: Output
    moments: list[Moment]


@dataclass(frozen=True)
class Influence:
    """A word of a prompt, the datum without it from the same noise, and its distance to the output, relative to that of
    the datum without any prompt."""

    word: str
    datum: Any
    share: float


def checked(record: Mapping[str, Any], path: Path) -> None:
    """Raises Refusal for a record that septet cannot have written."""
    for key, kind in KINDS.items():
        if key not in record or not isinstance(record[key], kind) or isinstance(record[key], bool):
            found = f"{key}={str(record[key])[:60]!r}" if key in record else f"no {key}"
            raise Refusal(f"{path}: its record has {found}, which septet never writes; it cannot be generated again")
    settings = record["settings"]
    for key, most in (("tile", MOST_TILE), ("threads", MOST_THREADS)):
        value = settings.get(key, 1)
        if type(value) is not int or not 1 <= value <= most:
            raise Refusal(f"{path}: its record has {key}={str(value)[:60]}; expected 1 to {most}")
    if isinstance(record["prompt"], dict) and not all(
        isinstance(value, str) or is_content(value) for value in record["prompt"].values()
    ):
        raise Refusal(f"{path}: its record has a prompt whose values are not strings, which septet never writes")
    checked_seed(record["seed"])


def not_replayable(record: Mapping[str, Any]) -> str | None:
    """Why an output cannot be generated again from its record alone; None if it can."""
    given = record["settings"].get("given")
    if "interpolated" in record["settings"]:
        return "It is a step of an interpolation, which cannot be generated again from the record alone."
    if given is not None and not (isinstance(given, dict) and isinstance(given.get("text"), str)):
        return "It was generated around or after a given file, which the record does not contain."
    return None


def same_place(model: Generator, record: Mapping[str, Any]) -> bool:
    """Whether torch's version, the CPU's instructions and the device are those of the record: others may round
    differently."""
    here = {"torch": torch.__version__, "cpu": CPU, "device": model.device.type}
    return all(record["settings"].get(key) == value for key, value in here.items())


def replay(model: Generator, record: Mapping[str, Any], prompt: Prompt) -> Replay:
    """Generates a record's output again, with as many threads. Raises Refusal if the process does not support it."""
    states, tile = [], record["settings"].get("tile", 1)
    for moment in _drawn(model, record, [prompt] * tile, tile):  # as many rows as before: rounding depends on it
        state = moment.state
        states.append((state.step + 1, state.guess[:1].clone()))
        if moment.outputs:
            looks, steps = evenly(states, LOOKS), state.step + 1
            moments = [Moment(step, steps, datum) for step, guess in looks for datum in _seen(model, guess)]
            return Replay(moment.outputs[0], moments)
    raise Refusal("its record generates nothing")


def _seen(model: Generator, latents: torch.Tensor) -> Iterator[Any]:
    try:
        yield from model.shown(latents)
    except Refusal:  # an intermediate state may not be a valid drawing
        return


def _drawn(model: Generator, record: Mapping[str, Any], prompts: Sequence[Prompt], tile: int) -> Iterator[Any]:
    settings = record["settings"]
    if settings.get("given") and not model.modality.begins:
        raise Refusal("its record has a given beginning, which its model does not continue; generate it anew")
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
    """Whether a file has the same content as an output written in its format."""
    with tempfile.TemporaryDirectory(prefix="septet-") as folder:
        again = Path(folder) / path.name
        output.modality.write(output.datum, again, dict(record))
        if again.read_bytes() == path.read_bytes():
            return True
        found, expected = list(_content(path, output)), list(_content(again, output))
        return bool(expected) and digest(found) == digest(expected)


def _content(path: Path, output: Output) -> Iterator[Any]:
    """The content of a file as its modality reads it; and all its frames, if it is a picture."""
    with suppress(Refusal):
        yield output.modality.read(path)
    with suppress(Refusal):
        yield opened(path, _frames)


def _frames(picture: Pillow.Image) -> list[np.ndarray]:
    if getattr(picture, "n_frames", 1) * picture.width * picture.height > PIXELS:
        raise Refusal(f"more than {PIXELS:,} pixels in all frames")
    return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(picture)]


def influences(model: Generator, record: Mapping[str, Any], datum: Any, prompt: Prompt) -> list[Influence]:
    """The Influence of each word, or attribute, of the prompt; empty without a prompt."""
    if record["settings"].get("given"):
        return []
    without = [(word, p) for word, p in _without(model, prompt) if _accepts(model, p)][:MOST_WORDS]
    if not without or not _accepts(model, None):
        return []
    outputs = [o for m in _drawn(model, record, [None, *(p for _, p in without)], MOST_WORDS + 1) for o in m.outputs]
    drawn = [output.datum for output in outputs]
    features = model.modality.features([datum, *drawn])
    apart = (features - features[0]).norm(dim=1)
    shares = (apart[2:] / apart[1].clamp(min=1e-9)).tolist()
    return [Influence(word, d, share) for (word, _), d, share in zip(without, drawn[1:], shares, strict=True)]


def _accepts(model: Generator, prompt: Prompt) -> bool:
    """Whether the model accepts a prompt: a label without one of its words may not be a label."""
    try:
        model.conditioner.prepare([prompt])
    except Refusal:
        return False
    return True


def _without(model: Generator, prompt: Prompt) -> Iterator[tuple[str, Prompt]]:
    """Yields each word, or attribute, and the prompt without it."""
    if prompt and isinstance(model.conditioner, Attributes):
        prompt = model.conditioner.parsed(prompt)
    if isinstance(prompt, Mapping):
        for name in prompt if len(prompt) > 1 else ():
            label = name if name in model.conditioner.contents else f"{name}={prompt[name]}"
            yield label, {n: v for n, v in prompt.items() if n != name}
    elif prompt:
        found = list(re.finditer(WORD, prompt))
        for word in found if len(found) > 1 else []:
            rest = prompt[: word.start()] + prompt[word.end() :]
            yield word[0], re.sub(r"\s+", " ", re.sub(r"(^|,)\s*,", r"\1", rest)).strip(" ,")
