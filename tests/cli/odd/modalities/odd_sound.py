"""Sounds: one datum is a line of loudness, int16 (T,), in a .wav file; what lies beside it says what it is."""

import html
import json
import re
import wave

import numpy as np
import torch
from PIL import Image

from septet.contracts import Codec, Modality
from septet.space import PADDING, Known, Refusal, Space
from septet.storage import whole

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
            file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
            file.writeframes(np.asarray(datum, np.int16).tobytes())

    def preview(self, datum, size=128):
        pixels = np.resize(np.asarray(datum) // 256 + 128, (size, size)).clip(0, 255).astype(np.uint8)
        return Image.fromarray(pixels).convert("RGBA")

    def html(self, datum, size=160):
        return f'<audio controls title="{html.escape(str(len(datum)))} numbers"></audio>'

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
        for row, datum in zip(rows, data, strict=True):
            levels = self._row(datum)
            row[: len(levels) + 1] = torch.cat([levels, torch.tensor([LEVELS])])
        return rows

    def decode(self, latents):
        rows = [row[(row >= 0) & (row < LEVELS)].numpy() for row in latents.cpu()]
        return [((row + 0.5) * 65536 / LEVELS - 32768).astype(np.int16) for row in rows]

    def encode_known(self, given, where=None):
        row = self._row(given)
        if where is None:
            return Known(spans=((row,),))
        raise Refusal("only what comes after can be drawn")
