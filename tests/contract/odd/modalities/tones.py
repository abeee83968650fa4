"""Stereo sounds of unequal lengths.

Shapes: T samples, B sounds, N symbols.
"""

import base64
import io
import json
import re
import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from septet.contracts import Codec, Modality
from septet.space import PADDING, Known, Refusal, Space
from septet.storage import whole

RATE = 800  # samples a second
LEVELS = 8  # of a channel, as the codec keeps it
LONGEST = 80  # samples that the codec takes
MOST = 10_000  # samples that are read


class Tones(Modality):
    """A sound is float32 (T, 2), -1 to 1."""

    name, extensions, suffixes = "tones", (".wav",), (".wav",)

    def read(self, path: Path) -> np.ndarray:
        try:
            with wave.open(str(path)) as file:
                samples = np.frombuffer(file.readframes(MOST), "<i2").reshape(-1, 2)
        except (wave.Error, EOFError, OSError, ValueError) as error:
            raise Refusal(f"{path}: no stereo WAV file ({error})") from error
        return samples.astype(np.float32) / 32767

    def write(self, datum: np.ndarray, path: Path, record: dict[str, Any]) -> None:
        whole.write(path.with_name(path.name + ".json"), json.dumps(record).encode())
        whole.write(path, self._wav(datum))

    def _wav(self, datum: np.ndarray) -> bytes:
        stream = io.BytesIO()
        with wave.open(stream, "wb") as file:
            file.setparams((2, 2, RATE, len(datum), "NONE", "not compressed"))
            file.writeframes((datum * 32767).round().astype("<i2").tobytes())
        return stream.getvalue()

    def preview(self, datum: np.ndarray, size: int = 128) -> Image.Image:
        height = ((datum.mean(1) + 1) / 2 * (size - 1)).astype(int) if len(datum) else np.zeros(1, int)
        pixels = np.zeros((size, size, 4), np.uint8)
        pixels[height[np.linspace(0, len(height) - 1, size).astype(int)], np.arange(size)] = 255
        return Image.fromarray(pixels)

    def html(self, datum: np.ndarray, size: int = 128) -> str:
        return f'<audio controls src="data:audio/wav;base64,{base64.b64encode(self._wav(datum)).decode()}"></audio>'

    def features(self, data) -> Tensor:
        spectra = [np.abs(np.fft.rfft(datum.mean(1), 64))[:24] / max(1, len(datum)) for datum in data]
        return torch.from_numpy(np.array(spectra, np.float32).reshape(len(data), 24))

    def extent(self, datum: np.ndarray) -> dict[str, float]:
        return {"seconds": len(datum) / RATE}

    def region(self, text: str, datum: np.ndarray) -> np.ndarray:
        """ "0.02-0.04 s" is drawn anew."""
        found = re.fullmatch(r"([0-9.]+)-([0-9.]+) s", text)
        if not found or not 0 <= float(found[1]) < float(found[2]) <= len(datum) / RATE:
            raise Refusal(f"where {text!r}: expected a time such as 0.02-0.04 s, up to {len(datum) / RATE:g} s")
        places = np.arange(len(datum)) / RATE
        return (places < float(found[1])) | (places >= float(found[2]))

    def compose(self, drawn: np.ndarray, given: np.ndarray, where: np.ndarray | None) -> np.ndarray:
        if where is None:
            return np.concatenate([given, drawn[len(given) :]])
        begin, end = np.flatnonzero(~where)[[0, -1]]
        after = given[end + 1 :]
        return np.concatenate([given[:begin], drawn[begin : len(drawn) - len(after)], after])


class Levels(Codec):
    """A symbol for each pair of samples."""

    def __init__(self):
        super().__init__()
        plain = LEVELS**2
        markers = {"end": plain, "prefix": plain + 1, "suffix": plain + 2, "middle": plain + 3}
        self.space = Space((LONGEST + 8,), symbols=plain + 4, markers=markers)

    def symbols_of(self, datum: np.ndarray) -> Tensor:
        levels = ((np.asarray(datum) + 1) / 2 * (LEVELS - 1)).round().astype(np.int64)
        return torch.from_numpy(levels[:, 0] * LEVELS + levels[:, 1])

    def encode(self, data) -> Tensor:
        end = torch.tensor([self.space.markers["end"]])
        rows = [torch.cat([self.symbols_of(datum), end]) for datum in data]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PADDING)

    def decode(self, latents: Tensor) -> list[np.ndarray]:
        rows = [row[(row >= 0) & (row < LEVELS**2)].numpy() for row in latents]
        pairs = [np.stack([row // LEVELS, row % LEVELS], 1) for row in rows]
        return [(pair / (LEVELS - 1) * 2 - 1).astype(np.float32) for pair in pairs]

    def encode_known(self, given: np.ndarray, where: np.ndarray | None = None) -> Known:
        symbols = self.symbols_of(given)
        if where is None:
            return Known(spans=((symbols,),))
        begin, end = np.flatnonzero(~where)[[0, -1]]
        return Known(spans=((symbols[:begin], symbols[end + 1 :]),))
