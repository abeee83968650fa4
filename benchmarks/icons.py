"""The starter `icons` on held-out captions; see measure/captioned.py for the figures."""

import sys
from pathlib import Path

import measure.captioned as captioned
from measure.captioned import Captioned

sys.path.insert(0, str(Path(__file__).parent.parent / "pretraining"))
import icons

from septet.conditioners.prompts import words_of
from septet.generator import Generator

LEAST = {"rendered": 0.99, "pair test": 0.75, "new": 0.9}


def items(path: Path, model: Generator) -> Captioned:
    """The icons in the starter's data, as the model's codec decodes them."""
    symbols, prompts, splits = icons.load(path)
    parts = [prompt.partition(", ") for prompt in prompts]
    words, styles = [frozenset(words_of(caption)) for caption, _, _ in parts], [style for _, _, style in parts]
    return Captioned(prompts, words, styles, splits, lambda i: model.codec.decode(symbols[i][None])[0])


if __name__ == "__main__":
    captioned.main(__doc__, "icons", icons.CACHE / "icons.npz", items, LEAST)
