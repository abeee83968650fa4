"""The starter `emoji` on held-out captions; see measure/captioned.py for the figures."""

import sys
from pathlib import Path

import measure.captioned as captioned
from measure.captioned import Captioned

sys.path.insert(0, str(Path(__file__).parent.parent / "pretraining"))
import emoji
import emoji_drawings

from septet.conditioners.prompts import words_of
from septet.generator import Generator

LEAST = {"pair test": 0.65, "new": 0.95}


def items(path: Path, model: Generator) -> Captioned:
    """The drawings in the starter's data; their words are those of labels and tags."""
    found = emoji_drawings.load(path)
    parts = [prompt.rpartition(", ") for prompt in found.prompts]
    said = [" ".join((label, *tags)) for (label, _, _), tags in zip(parts, found.tags, strict=True)]
    words, styles = [frozenset(words_of(text)) for text in said], [style for _, _, style in parts]
    drawings = [found.codec.decode(symbols[None])[0] for symbols in found.symbols]
    return Captioned(found.prompts, words, styles, found.splits, drawings.__getitem__)


if __name__ == "__main__":
    captioned.main(__doc__, "emoji", emoji.CACHE / "emoji-drawings.npz", items, LEAST)
