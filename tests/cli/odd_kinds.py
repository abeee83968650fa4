"""A kind of content in two files that stand nowhere in septet, put on the paths of its packages."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import septet.modalities
import septet.recipes

SOUND = '''
"""Sounds: one datum is a line of loudness, int16 (T,), in a .wav file; what lies beside it says what it is."""

import html
import json
import re
import wave

import numpy as np
import torch
from PIL import Image

from septet.contracts import Codec, Modality
from septet.folders import whole
from septet.space import PADDING, Known, Refusal, Space

RATE, LEVELS, LONGEST = 100, 16, 24


class OddSound(Modality):
    """Loudness, RATE numbers a second."""

    name = "odd_sound"
    extensions = (".wav",)
    suffixes = (".wav",)

    @classmethod
    def tiny(cls):
        return cls()

    def read(self, path):
        try:
            with wave.open(str(path)) as file:
                return np.frombuffer(file.readframes(file.getnframes()), np.int16)
        except (OSError, EOFError, wave.Error) as error:
            raise Refusal(f"{path}: no sound ({error})") from error

    def write(self, datum, path, record):
        whole.write(path.with_name(path.name + ".json"), json.dumps(record).encode())
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(RATE)
            file.writeframes(np.asarray(datum, np.int16).tobytes())

    def preview(self, datum, size=128):
        pixels = np.resize(np.asarray(datum) // 256 + 128, (size, size)).clip(0, 255).astype(np.uint8)
        return Image.fromarray(pixels).convert("RGBA")

    def player(self, datum, size=160):
        return f"<audio controls title=\\"{html.escape(str(len(datum)))} numbers\\"></audio>"

    def features(self, data):
        rows = [np.abs(np.fft.rfft(np.asarray(d, np.float32), 32)) for d in data]
        return torch.from_numpy(np.stack(rows).astype(np.float32)) / 1e4 if rows else torch.zeros(0, 17)

    def region(self, text, datum):
        found = re.fullmatch(r"([0-9.]+)-([0-9.]+) s", text)
        if not found:
            raise Refusal(f"--where {text!r}: expected seconds, such as 0.1-0.2 s")
        kept = np.ones(len(datum), bool)
        kept[int(float(found[1]) * RATE) : int(float(found[2]) * RATE)] = False
        return kept

    def compose(self, drawn, given, where):
        if where is None:
            return np.concatenate([given, drawn[len(given) :]])
        drawn = np.resize(drawn, len(given))
        return np.where(where, given, drawn)


class OddLevels(Codec):
    """A symbol a number, in LEVELS steps."""

    def __init__(self):
        super().__init__()
        self.space = Space((LONGEST,), symbols=LEVELS + 1, markers={"end": LEVELS})

    @classmethod
    def tiny(cls):
        return cls()

    def _row(self, datum):
        levels = (np.asarray(datum).astype(np.int64) + 32768) * LEVELS // 65536
        return torch.from_numpy(levels[: LONGEST - 1])

    def encode(self, data):
        rows = torch.full((len(data), LONGEST), PADDING)
        for row, datum in zip(rows, data):
            levels = self._row(datum)
            row[: len(levels) + 1] = torch.cat([levels, torch.tensor([LEVELS])])
        return rows

    def decode(self, latents):
        rows = [row[(row >= 0) & (row < LEVELS)].numpy() for row in latents.cpu()]
        return [((row + 0.5) * 65536 / LEVELS - 32768).astype(np.int16) for row in rows]

    def known(self, given, where=None):
        row = self._row(given)
        if where is None:
            return Known(spans=((row,),))
        raise Refusal("only what comes after can be drawn")
'''

RECIPE = '''
"""Odd sounds by GPT."""

import torch

from septet.backbones.transformer import Transformer
from septet.conditioners.nothing import Nothing
from septet.conditioners.text import Text
from septet.data.batches import Batches
from septet.data.dataset import read
from septet.fitting import Settings
from septet.generator import Generator
from septet.modalities.odd_sound import OddLevels, OddSound
from septet.processes.autoregressive import Autoregressive
from septet.recipes import Plan, Stage, recipe


@recipe(OddSound, default=True)
def odd_sound_gpt(source, seed=0, start=None, seconds=None, width: int = 32, layers: int = 1, batch: int = 4):
    """A GPT over loudness."""
    data = read(source, OddSound(), seed=seed)
    torch.manual_seed(seed)
    codec = OddLevels()
    process = Autoregressive(codec.space, Transformer(width, layers, heads=2))
    conditioner = Text.learned(width, data.prompts) if any(data.prompts) else Nothing()
    model = start or Generator(OddSound(), codec, process, conditioner)
    latents = model.codec.encode([item.datum for item in data])
    prompts = model.conditioner.prepare(model.conditioner.accepted(data.prompts))
    held_out = Batches(latents, prompts, batch, index=data.validation)
    batches = Batches(latents, prompts, batch, seed, held_out=held_out, index=data.training)
    return Plan(model, [Stage("gpt", model, lambda: batches, Settings())], data, previews=data.prompts[:2])
'''


@contextmanager
def installed(folder: Path, modalities: dict[str, str], recipes: dict[str, str]) -> Iterator[None]:
    """Files by name, as if they lay in septet's own packages."""
    added = {septet.modalities: modalities, septet.recipes: recipes}
    for package, files in added.items():
        place = folder / package.__name__.rpartition(".")[2]
        place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (place / f"{name}.py").write_text(text)
        package.__path__.append(str(place))
    try:
        yield
    finally:
        for package, files in added.items():
            package.__path__.pop()
            for name in files:
                sys.modules.pop(f"{package.__name__}.{name}", None)
                vars(package).pop(name, None)


TUNE = '''
"""Tunes: one datum is a line of notes, a string with a caption, whose copies are told by spans."""

import json

from septet.contracts import Modality
from septet.folders import whole
from septet.modalities.text import Text


class OddTune(Modality):
    """Notes."""

    name, extensions, suffixes, spans = "odd_tune", (".abc",), (".abc",), True

    @classmethod
    def tiny(cls):
        return cls()

    def read(self, path):
        return Text().read(path).partition("\\n%record ")[0]

    def write(self, datum, path, record):
        whole.write(path, f"{datum}\\n%record {json.dumps(record)}".encode())

    def record(self, path):
        told = Text().read(path).partition("\\n%record ")[2]
        return json.loads(told) if told else None

    def preview(self, datum, size=128):
        return Text().preview(datum, size)

    def features(self, data):
        return Text().features(data)
'''

TUNE_RECIPE = '''
"""Odd tunes by GPT."""

import torch

from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners.text import Text
from septet.data.batches import Batches
from septet.data.dataset import read
from septet.fitting import Settings
from septet.generator import Generator
from septet.modalities.odd_tune import OddTune
from septet.processes.autoregressive import Autoregressive
from septet.recipes import Plan, Stage, recipe


@recipe(OddTune)
def odd_tune_gpt(source, seed=0, start=None, seconds=None, width: int = 32, layers: int = 1, batch: int = 4):
    """A GPT over notes."""
    data = read(source, OddTune(), seed=seed)
    torch.manual_seed(seed)
    codec = Symbols.learned([item.datum for item in data], "characters", 48)
    process = Autoregressive(codec.space, Transformer(width, layers, heads=2))
    model = start or Generator(OddTune(), codec, process, Text.learned(width, data.prompts))
    latents = model.codec.encode([item.datum for item in data])
    prompts = model.conditioner.prepare(data.prompts)
    held_out = Batches(latents, prompts, batch, index=data.validation)
    batches = Batches(latents, prompts, batch, seed, held_out=held_out, index=data.training)
    return Plan(model, [Stage("gpt", model, lambda: batches, Settings())], data)
'''
