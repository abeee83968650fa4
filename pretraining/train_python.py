"""Trains the starter `python`, a GPT for code completion, on the standard library and permissively licensed
packages."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import python_code
from starter import Starter

from septet.data.dataset import Dataset
from septet.data.passages import Passages
from septet.fitting import Settings
from septet.generator import Generator
from septet.modalities.code import Code
from septet.recipes import Plan, Stage
from septet.recipes.code_gpt import SETTINGS, begun

FACTS = {
    "summary": "Completes Python at a cursor, a line or a block, knowing what stands before and after it.",
    "license": "apache-2.0",
    "tags": ["code", "gpt", "fill-in-the-middle"],
    "continues_with": "code_gpt",
    "sources": ["Python 3.11 standard library (PSF-2.0)"]
    + [f"{name} {facts[0]} ({facts[2]})" for name, facts in python_code.packages().items() if facts[3] == "train"],
    "attribution": "NOTICE names the licences; pretraining/python_packages.json each package, its version and licence.",
    "limits": "It writes likely code, not right code; it knows Python alone, and of a project what stands near by.",
}


def python_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    tokens: str = "4096",
    length: int = 512,
    width: int = 256,
    layers: int = 6,
    dropout: float = 0.0,
    fill: float = 0.5,
    batch: int = 16,
    rate: float = 0.02,
    compiled: bool = True,
) -> Plan:
    """A GPT as in the recipe code_gpt, with whole packages held out."""
    found = python_code.load(Path(source))
    sides = {split: [s for s in found if s.split == split] for split in python_code.SPLITS}
    learned, held = ([s.text for s in sides[split]] for split in ("train", "validation"))
    generator = start or begun(learned[::4], Code(), tokens, length, (width, layers, dropout), seed)
    passages = Passages(learned, generator.codec, batch, seed, Passages(held, generator.codec, batch), fill=fill)
    settings = Settings(rate=rate, average=0.998, decay=0.6, compile=compiled, validation_batches=16)
    kept = [*sides["train"], *sides["validation"]]
    dataset = Dataset([s.text for s in kept], [None] * len(kept), [f"{s.package}/{s.path}" for s in kept], Code())
    dataset.training = list(range(len(learned)))
    dataset.validation = list(range(len(learned), len(kept)))
    dataset.fingerprint = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    counts = [f"{len(files):,} files ({sum(map(len, files)):,} characters)" for files in (learned, held)]
    dataset.report = [f"{counts[0]} to train on, {counts[1]} held out; test packages are never read."]
    facts = {"characters": sum(map(len, learned)), "held_out_characters": sum(map(len, held))}
    return Plan(generator, [Stage("gpt", generator, lambda: passages, settings)], dataset, facts, [None] * 2)


if __name__ == "__main__":
    data = python_code.CACHE / "python.jsonl"
    build = partial(python_code.build, archives=python_code.CACHE)
    Starter("python", {"gpt": python_gpt}, data, build, {"gpt": FACTS}, {"gpt": SETTINGS}).main(__doc__)
