"""Vector drawings by GPT: the symbols of their paths, one after another, told by a caption."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.paths import Paths
from ..conditioners.nothing import Nothing
from ..conditioners.text import Text
from ..data.batches import Batches
from ..data.dataset import read
from ..fitting import Settings
from ..generator import Generator
from ..modalities.vector import Vector
from ..processes.autoregressive import Autoregressive
from ..space import Refusal
from . import Enough, Plan, Stage, recipe


@recipe(Vector, default=True, few=2000, enough=Enough("drawings", train=50_000, adapt=10))
def vector_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    length: int = 320,
    palette: int | None = 48,
    width: int = 256,
    layers: int = 8,
    dropout: float = 0.0,
    fill: float = 0.1,
    batch: int = 32,
    rate: float = 0.0,
    average: float = 0.998,
) -> Plan:
    """A GPT over the drawing commands of SVG files, with captions as free text. Drawings of over `length` symbols are
    left out; sets in several colours are kept to `palette` of them."""
    if start is not None and not isinstance(start.codec, Paths):
        raise Refusal(f"start={start.name}: vector_gpt goes on only from a model of drawings; choose another")
    dataset = read(source, start.modality if start else Vector(palette), seed=seed)
    prompts = [dataset[i].prompt for i in range(len(dataset))]
    if start is None:
        codec = Paths(length=length, colours=getattr(dataset.modality, "colours", None) or ())
        torch.manual_seed(seed)
        process = Autoregressive(
            codec.space, Transformer(width, layers, heads=max(1, width // 64), dropout=dropout), fill=fill
        )
        conditioner = Text.learned(width, prompts) if any(prompts) else Nothing()
        start = Generator(dataset.modality, codec, process, conditioner, settings={"guidance": 1.5, "temperature": 0.7})
        rate = rate or 0.02
    codec: Any = start.codec
    symbols = [codec.symbols_of(dataset[i].datum) for i in range(len(dataset))]
    kept = [i for i, row in enumerate(symbols) if len(row) < codec.length]
    rows = [codec.encode([dataset[i].datum])[0] for i in kept]
    prompts = start.conditioner.heard(prompts)
    symbols_BM = start.conditioner.prepare([prompts[i] for i in kept])
    place = {i: k for k, i in enumerate(kept)}
    training, validation = ([place[i] for i in side if i in place] for side in (dataset.training, dataset.validation))
    if not training:
        raise Refusal(f"{source}: no drawing of at most {codec.length} symbols; simplify them")

    def batches() -> Batches:
        held_out = Batches(rows, symbols_BM, batch, index=validation) if validation else None
        return Batches(rows, symbols_BM, batch, seed, held_out=held_out, index=training)

    settings = Settings(rate=rate or 0.01, average=average, compile=False)
    facts = {"drawings": len(training), "too_long": len(dataset) - len(kept)}
    previews = [prompts[i] for i in (dataset.validation or dataset.training)[:8]]
    return Plan(start, [Stage("gpt", start, batches, settings)], dataset, facts, previews)
