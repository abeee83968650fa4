"""Trains the starter `icons`: text to SVG icon, by GPT, on about 70,000 captioned icons under permissive licences."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import icons
import numpy as np
import tags
import torch
from packages import ICONS, TAGS
from starter import Starter
from torch import Tensor
from turning import TURNS, turned_symbols
from wordings import Wordings, prepared

from septet.backbones.transformer import Transformer
from septet.codecs.paths import Paths
from septet.conditioners.text import Text
from septet.data.batches import Batches
from septet.data.dataset import Dataset
from septet.fitting import Settings
from septet.generator import Generator
from septet.modalities.vector import Vector
from septet.processes.autoregressive import Autoregressive
from septet.recipes import Plan, Stage

UNTURNED = 3  # times that an icon occurs unchanged, relative to once mirrored and once rotated

SETTINGS = {"guidance": 2.5, "temperature": 0.5}  # chosen on validation captions, see docs/log.md
FACTS = {
    "summary": "Text to SVG icon: say what, then a style (outline, filled, duotone, light, bold) or a set's name.",
    "license": "apache-2.0",
    "tags": ["svg", "icons", "gpt"],
    "continues_with": "vector_gpt",
    "serves": ["image"],
    "sources": [
        f"{name}: {package} {version}"
        for pins in (ICONS, {f"words of {name}": pin for name, (_, pin) in TAGS.items()})
        for name, (package, version, _) in pins.items()
    ],
    "attribution": "Drawn after the icon sets above, under MIT, ISC and Apache-2.0; NOTICE names their authors.",
    "limits": "Words that the sets do not use are guesses. One colour. Letters and logos are unreliable.",
}


def icons_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    width: int = 256,
    layers: int = 6,
    batch: int = 64,
    rate: float = 0.02,
    dropout: float = 0.1,
    inner: int = 96,
    subwords: int = 4000,
    fill: float = 0.1,
    plain_share: float = 0.27,
    compiled: bool = True,
) -> Plan:
    """A causal transformer with captions as leading tokens; 5.7 M parameters. The first stage trains on icons
    unchanged, mirrored and rotated, with many variants of each prompt; the second on unchanged icons with plain
    prompts. With `start`, only the second stage is trained."""
    rows, prompts, splits = icons.load(Path(source))
    words = Path(source).with_name("tags.json")
    if not words.exists():
        tags.build(words, icons.CACHE)
    training, validation = np.flatnonzero(splits == 0).tolist(), np.flatnonzero(splits == 1).tolist()
    known, stream, codec = tags.load(words), np.random.default_rng(seed), Paths()
    said = [ways(prompt, known, stream) for prompt in prompts]
    others, their_ways = turned_icons(codec, [rows[i] for i in training], [said[i] for i in training], stream)
    index = training * UNTURNED + list(range(len(rows), len(rows) + len(others)))
    every, said = rows + others, said + their_ways
    torch.manual_seed(seed)
    process = Autoregressive(codec.space, Transformer(width, layers, heads=4, dropout=dropout), fill=fill)
    conditioner = Text.learned(width, [way for i in index for way in said[i]], inner=inner, subwords=subwords)
    generator = start or Generator(Vector(), codec, process, conditioner, settings=dict(SETTINGS))
    conditioner: Any = generator.conditioner
    prompts_nKM = prepared(conditioner, said)

    def batches() -> Wordings:
        held_out = Batches(every, prompts_nKM[:, 0], batch, index=validation)
        return Wordings(Batches(every, prompts_nKM, batch, seed, held_out=held_out, index=index))

    def plainly() -> Wordings:
        plain = prepared(conditioner, [plain_ways(prompt) for prompt in prompts])
        held_out = Batches(rows, plain[:, 0], batch, index=validation)
        return Wordings(Batches(rows, plain, batch, seed + 1, held_out=held_out, index=training))

    dataset = Dataset([], list(prompts), [""] * len(prompts), Vector())
    dataset.training, dataset.validation = training, validation
    dataset.fingerprint = hashlib.sha256(Path(source).read_bytes() + words.read_bytes()).hexdigest()
    dataset.report = [f"{len(training):,} icons to train on, {len(validation):,} held out."]
    settings = Settings(rate=rate, average=0.999, decay=0.6, compile=compiled, validation_batches=24)
    previews = [prompts[i] for i in np.random.default_rng(5).choice(validation, 12, replace=False)]
    listen = Settings(rate=0.4 * rate, average=0.998, decay=1.0, compile=compiled, validation_batches=24)
    stages = [Stage("gpt", generator, batches, settings, 1 - plain_share)] if start is None else []
    stages.append(Stage("captions", generator, plainly, listen, plain_share))
    return Plan(generator, stages, dataset, {"icons": len(training)}, previews)


def ways(prompt: str, known: dict[str, list[str]], stream: np.random.Generator) -> list[str]:
    """Variants of a prompt: in full (most often), without the set, caption only, with synonyms, in another order."""
    caption, _, style = prompt.partition(", ")
    synonyms = known.get(icons.concept(caption)) or caption.split()
    chosen, moved = stream.permutation(synonyms)[:2], stream.permutation(caption.split())
    return [
        prompt,
        prompt,
        prompt.rpartition(", ")[0],
        caption,
        f"{' '.join(chosen)}, {style}",
        f"{style} {' '.join(moved)}",
    ]


def plain_ways(prompt: str) -> list[str]:
    """The most usual variants of a prompt: in full, without the set, caption only."""
    plain = prompt.rpartition(", ")[0]
    return [prompt, plain, plain, prompt.partition(", ")[0]]


def turned_icons(codec: Paths, rows: list[Tensor], said: list[list[str]], stream: np.random.Generator):
    """All icons mirrored, and each rotated in one of three ways: symbols, and prompts that say so."""
    symbols, prompts = [], []
    for row, ways_of_it in zip(rows, said, strict=True):
        for turn in ("mirrored", str(stream.choice([turn for turn in TURNS if turn != "mirrored"]))):
            drawn = turned_symbols(codec, row, turn)
            if drawn is not None:
                symbols.append(drawn)
                prompts.append([f"{way}, {turn}" for way in ways_of_it])
    return symbols, prompts


if __name__ == "__main__":
    data, build = icons.CACHE / "icons.npz", partial(icons.build, archives=icons.CACHE)
    Starter("icons", {"gpt": icons_gpt}, data, build, {"gpt": FACTS}, {"gpt": SETTINGS}).main(__doc__)
