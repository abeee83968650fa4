"""Pairs of a word and a picture of it.

Shapes: S pixels a side.
"""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from septet.contracts import Codec, Modality
from septet.modalities.text import Text
from septet.space import PADDING, Known, Refusal, Space
from septet.storage import whole

SIDE, GREYS, LONGEST = 4, 4, 8
PART = 200  # the symbol between word and picture


class Pairs(Modality):
    """{"word": a string, "picture": uint8 (S, S)}."""

    name, extensions, suffixes, captioned = "pairs", (".pair",), (".pair",), False

    def read(self, path: Path) -> dict[str, Any]:
        try:
            found = json.loads(Path(path).read_text())
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["picture"]))).convert("L"))
            return self.take({"word": found["word"], "picture": picture})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refusal(f"{path}: no pair ({error})") from error

    def take(self, value: Any) -> dict[str, Any]:
        if not isinstance(value.get("word"), str) or value["picture"].shape != (SIDE, SIDE):
            raise Refusal(f"expected a word and a picture of {SIDE} x {SIDE}")
        return value

    def write(self, datum: dict[str, Any], path: Path, record: dict[str, Any]) -> None:
        stream = io.BytesIO()
        Image.fromarray(datum["picture"]).save(stream, "PNG")
        picture = base64.b64encode(stream.getvalue()).decode()
        whole.write(path, json.dumps({"word": datum["word"], "picture": picture, "record": record}).encode())

    def record(self, path: Path) -> dict[str, Any] | None:
        try:
            return json.loads(Path(path).read_text()).get("record")
        except (OSError, ValueError):
            return None

    def preview(self, datum: dict[str, Any], size: int = 128) -> Image.Image:
        picture = Image.fromarray(datum["picture"]).resize((size, size), Image.Resampling.NEAREST)
        return picture.convert("RGBA")

    def html(self, datum: dict[str, Any], size: int = 128) -> str:
        return super().html(datum, size) + Text().html(datum["word"], size)

    def features(self, data) -> Tensor:
        rows = [np.append(d["picture"].ravel() / 255, len(d["word"])) for d in data]
        return torch.from_numpy(np.array(rows, np.float32).reshape(len(data), SIDE**2 + 1))

    def region(self, text: str, datum: dict[str, Any]) -> str:
        """ "word" or "picture" is drawn anew."""
        if text not in ("word", "picture"):
            raise Refusal(f"where {text!r}: expected 'word' or 'picture'")
        return {"word": "picture", "picture": "word"}[text]

    def compose(self, drawn: dict[str, Any], given: dict[str, Any], where: str | None) -> dict[str, Any]:
        return drawn if where is None else drawn | {where: given[where]}


class Spelled(Codec):
    """The bytes of the word, a separator, and the picture's pixels in four greys."""

    def __init__(self):
        super().__init__()
        markers = {"end": 201, "prefix": 202, "suffix": 203, "middle": 204}
        self.space = Space((LONGEST + SIDE**2 + 6,), symbols=205, markers=markers)

    def sides(self, datum: dict[str, Any]) -> tuple[Tensor, Tensor]:
        word = torch.tensor(list(datum["word"].encode()[:LONGEST]), dtype=torch.int64).clamp(max=PART - 1)
        greys = torch.from_numpy(datum["picture"].astype(np.int64).ravel() * (GREYS - 1) // 255)
        return word, greys

    def encode(self, data) -> Tensor:
        ends = torch.tensor([PART]), torch.tensor([self.space.markers["end"]])
        rows = [torch.cat([word, ends[0], greys, ends[1]]) for word, greys in map(self.sides, data)]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PADDING)

    def decode(self, latents: Tensor) -> list[dict[str, Any]]:
        return [self._pair([s for s in row.tolist() if 0 <= s <= PART]) for row in latents]

    def _pair(self, symbols: list[int]) -> dict[str, Any]:
        middle = symbols.index(PART) if PART in symbols else 0
        greys = [s for s in symbols[middle:] if s < GREYS][: SIDE**2]
        greys += [0] * (SIDE**2 - len(greys))
        picture = (np.array(greys, np.uint8) * (255 // (GREYS - 1))).reshape(SIDE, SIDE)
        return {"word": bytes(s for s in symbols[:middle] if s > 31).decode(errors="replace"), "picture": picture}

    def encode_known(self, given: dict[str, Any], where: str | None = None) -> Known:
        word, greys = self.sides(given)
        between = torch.tensor([PART])
        if where == "picture":
            return Known(spans=((word[:0], torch.cat([between, greys])),))
        return Known(spans=((torch.cat([word, between]),),))
