"""A small model of code that has learned nothing, and one that has learned a few functions by heart."""

from septet.code_completion import Completer, Index
from septet.codecs.symbols import Symbols
from septet.generator import Generator
from septet.modalities.code import Code
from septet.recipes.code_gpt import begun

SOURCE = '''import math


class Harbour:
    """Boats in rows."""

    def __init__(self, boats, depth_metres):
        self.boats = list(boats)
        self.depth_metres = depth_metres

    def draught_of(self, boat):
        return boat.draught_metres * math.sqrt(boat.load_tonnes)

    def admits(self, boat):
        return self.draught_of(boat) < self.depth_metres
'''


def untaught(tokens: str = "400", length: int = 256) -> Generator:
    return begun([SOURCE * 4], Code(), tokens, length, (32, 2, 0.0), 0)


def completer(model: Generator | None = None, **files: str) -> Completer:
    """Of a model that knows nothing, so that all it says is what the index says."""
    model = model or untaught()
    return Completer(model, Index(model.codec, files))


def codec_of(model: Generator) -> Symbols:
    assert isinstance(model.codec, Symbols)
    return model.codec


def drawn(completer: Completer, before: str, after: str = "\n", name: str | None = None) -> str:
    """What is offered, however unlikely."""
    found = completer.complete(before, after, name, floor=0.0)
    assert found is not None
    return found.text
