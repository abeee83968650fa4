"""Small parts and model folders for the tests of persistence."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from septet import models
from septet.contracts import Modality
from septet.part import Asset, Part
from septet.space import Refusal, Space

CARD = {
    "name": "toy",
    "summary": "A toy: with a colon, and\ntwo lines.",
    "license": "mit",
    "tags": ["toy", "septet"],
    "pipeline_tag": "text-to-image",
    "recipe": "toy",
    "seed": 7,
    "seconds": 1.5,
    "data": {"folder": "icons", "items": 12},
    "limits": ["knows nothing"],
}


class Scale(Part, nn.Module):
    """A part inside a part, with a buffer of its own and one that is not saved."""

    def __init__(self, width: int):
        super().__init__()
        self.gain = nn.Parameter(torch.randn(width))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("ramp", torch.arange(width), persistent=False)


class Toy(Part, nn.Module):
    """Tied weights, an asset, a Space and another part among its arguments."""

    def __init__(self, space: Space, scale: Scale, words: Asset, width: int = 4, facts: dict[str, Any] | None = None):
        super().__init__()
        if width < 1:
            raise Refusal(f"width={width}: expected at least 1")
        self.table = nn.Embedding(space.symbols or 1, width)
        self.head = nn.Linear(width, space.symbols or 1, bias=False)
        self.head.weight = self.table.weight
        self.scale, self.words = scale, words

    def forward(self, symbols_BN: Tensor) -> Tensor:
        return self.head(self.table(symbols_BN) * self.scale.gain + self.scale.ramp)


PARTS = [Toy, Scale]


def toy(seed: int = 0, width: int = 4) -> Toy:
    torch.manual_seed(seed)
    return Toy(Space((8,), symbols=5), Scale(width), Asset("words.json", '{"a": 1}'), width, {"best": 0.5})


def saved(folder: Path, seed: int = 0) -> Path:
    return models.save(toy(seed), folder, card=CARD)


def equal(first: nn.Module, second: nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Dot(Modality):
    """Pictures of one colour, or texts, written as they are with the record beside."""

    name, extensions, suffixes = "dot", (".png",), (".png",)

    def write(self, datum: Any, path: Path, record: dict[str, Any]) -> None:
        if isinstance(datum, str):
            path.write_text(datum)
        else:
            self.preview(datum).save(path, "PNG")
        path.with_name(path.name + ".json").write_text(str(record["seed"]))

    def read(self, path: Path) -> Any:
        return path.read_text()

    def preview(self, datum: Any, size: int = 128) -> Image.Image:
        return Image.new("RGBA", (size, size), datum)

    def features(self, data: Any) -> Tensor:
        return torch.zeros(len(data), 1)
