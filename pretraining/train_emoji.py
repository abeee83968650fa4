"""Trains a model that does not ship, `emoji`: text to SVG drawing in colour, fine-tuned from the starter `icons`."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import emoji
import emoji_drawings
import icons
import numpy as np
import torch
from starter import Starter
from torch import Tensor
from train_icons import ways as icon_ways
from turning import turned_symbols
from wordings import Wordings, prepared

from septet import models
from septet.backbones.transformer import Transformer
from septet.codecs.paths import PAINTS, Paths
from septet.conditioners.prompts import words_of
from septet.conditioners.text import Text
from septet.data.batches import Batches
from septet.data.dataset import Dataset
from septet.fitting import Settings
from septet.generator import Generator
from septet.modalities.vector import Vector
from septet.processes.autoregressive import Autoregressive
from septet.recipes import Plan, Stage

SETTINGS = {"guidance": 2.5, "temperature": 0.5}
FACTS = {
    "summary": f"Text to SVG emoji in colour: say what, then a style ({', '.join(emoji.DRAWN)}).",
    "license": "apache-2.0",
    "tags": ["svg", "emoji", "gpt"],
    "continues_with": "vector_gpt",
    "serves": ["image"],
    "sources": [f"{name}: {package} {version}" for name, (package, version, _) in emoji.DRAWN.items()],
    "attribution": "Drawn after Fluent Emoji (Microsoft, MIT), Noto Emoji (Google, Apache-2.0), Twemoji (Twitter and "
    "other contributors, CC-BY-4.0) and EmojiOne 2 (Ranks.com, CC-BY-4.0); captions by emojibase (MIT); begun from the "
    "starter icons. NOTICE names them all.",
    "limits": "Things that no emoji shows are guesses. No flags, default skin tone only, no gradients.",
}
FIRST_PAINT = Paths().index[PAINTS[0]]


def emoji_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    batch: int = 48,
    rate: float = 0.01,
    dropout: float = 0.1,
    fill: float = 0.1,
    icons_share: float = 0.2,
    compiled: bool = True,
) -> Plan:
    """The GPT of the starter `icons` with additional symbols for colours, fine-tuned on emoji mixed with icons, so that
    it does not forget shapes."""
    found, stream = emoji_drawings.load(Path(source)), np.random.default_rng(seed)
    torch.manual_seed(seed)
    said = [[*emoji.ways(prompt, tags, stream), prompt] for prompt, tags in zip(found.prompts, found.tags, strict=True)]
    training, validation = (np.flatnonzero(found.splits == split).tolist() for split in (0, 1))
    generator = coloured(
        start or models.load("icons"), found.codec, [w for i in training for w in said[i]], dropout, fill
    )
    rows, held_out_rows = list(found.symbols), len(found.symbols)
    for i in training:
        mirrored = turned_symbols(found.codec, found.symbols[i], "mirrored") if found.mirrors[i] else None
        if mirrored is not None:
            rows.append(mirrored)
            said.append(said[i])
    index = training + list(range(held_out_rows, len(rows)))
    for row, ways in some_icons(found.codec, int(icons_share * len(index)), stream):
        index.append(len(rows))
        rows.append(row)
        said.append(ways)
    conditioner = generator.conditioner
    assert isinstance(conditioner, Text)
    prompts_nKM = prepared(conditioner, said)

    def batches() -> Wordings:
        held_out = Batches(rows, prompts_nKM[:, 0], batch, index=validation)
        return Wordings(Batches(rows, prompts_nKM, batch, seed, held_out=held_out, index=index))

    dataset = Dataset([], list(found.prompts), [""] * len(found.prompts), generator.modality)
    dataset.training, dataset.validation = training, validation
    dataset.fingerprint = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    dataset.report = [f"{len(training):,} emoji to train on, {len(validation):,} held out; {len(index):,} rows in all."]
    settings = Settings(rate=rate, average=0.998, decay=0.6, compile=compiled)
    previews = [found.prompts[i] for i in np.random.default_rng(5).choice(validation, 12, replace=False)]
    return Plan(generator, [Stage("gpt", generator, batches, settings)], dataset, {"emoji": len(training)}, previews)


def coloured(start: Generator, codec: Paths, said: list[str], dropout: float, fill: float) -> Generator:
    """A model with the weights of `start` and the vocabulary of `codec`, whose additional symbols come last."""
    known, heard = start.process, start.conditioner
    assert isinstance(known, Autoregressive) and isinstance(heard, Text)
    arguments = known.backbone.arguments | {"dropout": dropout}
    process = Autoregressive(codec.space, Transformer(**arguments), fill=fill)
    state = process.state_dict()
    for name, value in known.state_dict().items():
        state[name][: len(value)] = value
    process.load_state_dict(state)
    new = dict.fromkeys(word for text in said for word in words_of(text) if word not in heard.words)
    words = [*heard.arguments["words"], *new]
    conditioner = Text(**heard.arguments | {"words": words})
    conditioner.load_state_dict(heard.state_dict())
    return Generator(
        Vector(emoji_drawings.COLOURS, codec.colours), codec, process, conditioner, settings=dict(SETTINGS)
    )


def some_icons(codec: Paths, count: int, stream: np.random.Generator) -> list[tuple[Tensor, list[str]]]:
    """Icons of the training split, with several prompts each."""
    data = icons.CACHE / "icons.npz"
    if not data.exists():
        icons.build(data, icons.CACHE)
    rows, prompts, splits = icons.load(data)
    chosen = stream.permutation(np.flatnonzero(splits == 0))[:count].tolist()
    found = []
    for i in chosen:
        row = inked(codec, rows[i])
        if len(row) <= codec.length:
            found.append((row, icon_ways(prompts[i], {}, stream)))
    return found


def inked(codec: Paths, symbols: Tensor) -> Tensor:
    """The symbols of an icon, (n,), with the symbol for no colour inserted after each paint."""
    paints = (symbols >= FIRST_PAINT) & (symbols < FIRST_PAINT + len(PAINTS))
    doubled = symbols.repeat_interleave(1 + paints.long())
    doubled[paints.nonzero()[:, 0] + torch.arange(1, int(paints.sum()) + 1)] = codec.ink
    return doubled


if __name__ == "__main__":
    data, build = emoji.CACHE / "emoji-drawings.npz", partial(emoji_drawings.build, archives=emoji.CACHE)
    Starter("emoji", {"gpt": emoji_gpt}, data, build, {"gpt": FACTS}, {"gpt": SETTINGS}).main(__doc__)
