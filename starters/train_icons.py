"""Trains the starter `icons`: text to SVG icon, by GPT, on about 70,000 captioned icons under permissive licences."""

import argparse
from pathlib import Path
from typing import Any

import icons
import numpy as np
import torch
from packages import ICONS
from publish import publish

from septet import runs
from septet.backbones.transformer import Transformer
from septet.codecs.paths import Paths
from septet.conditioners import Text
from septet.data.batches import Batches
from septet.data.dataset import Dataset
from septet.fitting import Settings
from septet.generator import Generator
from septet.modalities.vector import Vector
from septet.processes.autoregressive import Autoregressive
from septet.recipes import Plan, Stage

SETTINGS = {"guidance": 2.5, "temperature": 0.5}  # chosen on validation captions, see docs/log.md
FACTS = {
    "summary": "Text to SVG icon: say what, then a style (outline, filled, duotone, light, bold) or a set's name.",
    "license": "apache-2.0",
    "tags": ["svg", "icons", "gpt"],
    "continues_with": "vector_gpt",
    "sources": [f"{name}: {package} {version}" for name, (package, version, _) in ICONS.items()],
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
    fill: float = 0.1,
    compiled: bool = True,
) -> Plan:
    """A causal transformer with captions as leading tokens; 5.6 M parameters."""
    rows, prompts, splits = icons.load(Path(source))
    rows, splits = [*rows, *rows, *rows], np.tile(splits, 3)
    prompts = [said for part in range(3) for said in _said(prompts, part)]
    torch.manual_seed(seed)
    codec = Paths()
    process = Autoregressive(codec.space, Transformer(width, layers, heads=4, dropout=dropout), fill=fill)
    conditioner = Text.learned(width, [p for p, s in zip(prompts, splits, strict=True) if s == 0], inner=128)
    generator = Generator(Vector(), codec, process, conditioner, settings=dict(SETTINGS))
    prepared = conditioner.prepare(prompts)
    training, validation = np.flatnonzero(splits == 0), np.flatnonzero(splits[: len(splits) // 3] == 1)

    def batches() -> Batches:
        held_out = Batches(rows, prepared, batch, index=validation.tolist())
        return Batches(rows, prepared, batch, seed, held_out=held_out, index=training.tolist())

    dataset = Dataset([], list(prompts), [""] * len(prompts), Vector())
    dataset.training, dataset.validation = training.tolist(), validation.tolist()
    dataset.report = [f"{len(training):,} icons to train on, {len(validation):,} held out."]
    settings = Settings(rate=rate, average=0.999, decay=0.6, compile=compiled, validation_batches=24)
    previews = [prompts[i] for i in np.random.default_rng(5).choice(validation, 12, replace=False)]
    return Plan(generator, [Stage("gpt", generator, batches, settings)], dataset, {"icons": len(training)}, previews)


def _said(prompts: list[str], part: int) -> list[str]:
    """Each prompt in full; without the set's name; or without style and name, as people ask."""
    if part == 0:
        return prompts
    return [prompt.rpartition(", ")[0] if part == 1 else prompt.partition(", ")[0] for prompt in prompts]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=icons.CACHE / "icons.npz")
    parser.add_argument("--work", type=Path, default=icons.CACHE / "models" / "icons")
    parser.add_argument("--budget", default="3h")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if not options.data.exists():
        icons.build(options.data, icons.CACHE)
    budget = None if options.resume else options.budget
    for progress in runs.training(options.data, icons_gpt, options.work, budget, resume=options.resume):
        if progress.message or (progress.step and progress.step.validation is not None):
            step = progress.step
            figures = f"step {step.step} loss {step.losses['loss']:.4f} held-out {step.validation}" if step else ""
            print(f"{progress.share:.1%} {figures} {progress.message or ''}", flush=True)
    publish(options.work, "icons", FACTS, SETTINGS)
