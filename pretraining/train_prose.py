"""Trains the starter `prose`, a GPT on Jane Austen's novels and the King James Bible that continues texts and fills
gaps."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import prose
import torch
from starter import Starter

from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners.nothing import Nothing
from septet.data.batches import Windows
from septet.data.dataset import Dataset
from septet.fitting import Settings
from septet.generator import Generator
from septet.modalities.text import Text
from septet.processes.autoregressive import Autoregressive
from septet.recipes import Plan, Stage
from septet.recipes.text_gpt import stream

SETTINGS = {"temperature": 0.8, "min_p": 0.05}
FACTS = {
    "summary": "English prose in the manner of Jane Austen and the King James Bible: goes on, and fills gaps.",
    "license": "apache-2.0",
    "tags": ["text", "gpt", "fill-in-the-middle"],
    "continues_with": "text_gpt",
    "sources": [f"{package} {version}" for package, version, _ in (prose.AUSTEN, prose.BIBLE)],
    "attribution": "Both texts are in the public domain; NOTICE names who packaged them.",
    "limits": "It knows no facts and no modern words, and loses the thread after a few sentences.",
}


def prose_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    tokens: str = "4096",
    length: int = 256,
    width: int = 208,
    layers: int = 6,
    dropout: float = 0.1,
    fill: float = 0.3,
    batch: int = 32,
    rate: float = 0.02,
    compiled: bool = True,
) -> Plan:
    """A GPT on windows of `length` byte-level BPE tokens; 4.9 M parameters."""
    passages = prose.load(Path(source))
    sides = {split: [p.text for p in passages if p.split == split] for split in prose.SPLITS}
    torch.manual_seed(seed)
    codec = Symbols.learned(sides["train"], tokens, length)
    process = Autoregressive(codec.space, Transformer(width, layers, heads=4, dropout=dropout), fill=fill)
    generator = Generator(Text(), codec, process, Nothing(), settings=dict(SETTINGS))
    learned, held = (stream(codec, sides[split]) for split in ("train", "validation"))
    windows = Windows(learned, length, batch, seed, Windows(held, length, batch))
    settings = Settings(rate=rate, average=0.998, decay=0.6, compile=compiled, validation_batches=32)
    dataset = Dataset([p.text for p in passages], [None] * len(passages), [p.title for p in passages], Text())
    for split, places in (("train", dataset.training), ("validation", dataset.validation)):
        places[:] = [n for n, p in enumerate(passages) if p.split == split]
    dataset.fingerprint = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    dataset.report = [f"{len(learned):,} symbols to train on, {len(held):,} held out; a test split is never read."]
    facts = {"symbols": len(learned), "held_out_symbols": len(held)}
    return Plan(generator, [Stage("gpt", generator, lambda: windows, settings)], dataset, facts, [None] * 2)


if __name__ == "__main__":
    data = prose.CACHE / "prose.json"
    build = partial(prose.build, archives=prose.CACHE)
    Starter("prose", {"gpt": prose_gpt}, data, build, {"gpt": FACTS}, {"gpt": SETTINGS}).main(__doc__)
