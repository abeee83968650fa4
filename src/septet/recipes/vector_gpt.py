"""Vector drawings by GPT over path commands, conditioned on a caption."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.paths import Paths
from ..conditioners.nothing import Nothing
from ..conditioners.text import Text
from ..data.batches import Batches
from ..data.dataset import read
from ..fitting import Settings
from ..fitting.sizes import MOST, Choice, Trial, choose
from ..generator import Generator
from ..modalities.vector import Vector
from ..processes.autoregressive import Autoregressive
from ..space import Refusal
from . import Enough, Plan, Stage, recipe
from ._families import DRAWINGS

BATCH = 32
FEW, PASSES = 2000, 9  # fewer drawings are overfitted after more passes; the learning rate decays to 0 by then


@recipe(Vector, default=True, few=2000, enough=Enough("drawings", train=50_000, adapt=10))
def vector_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    length: int = 320,
    palette: int | None = 48,
    network: str = "auto",
    width: int = 0,
    layers: int = 0,
    dropout: float = 0.0,
    fill: float = 0.1,
    batch: int = 0,
    rate: float = 0.0,
    average: float = 0.0,
) -> Plan:
    """A GPT over the drawing commands of SVG files, with captions as free text. Drawings of more than `length` tokens
    are skipped; the colours of a set are reduced to `palette`. `network`: "xs", "s", "m", "l", or "auto" for the
    largest that fits the budget ("l" with --steps); `width`, `layers`, `batch`, `rate` and `average` above 0 override
    it. On a budget, training on fewer than 2000 drawings ends after 9 passes: more would overfit."""
    if start is not None and not isinstance(start.codec, Paths):
        raise Refusal(f"start={start.name}: vector_gpt can only fine-tune a model of drawings; choose one")
    dataset = read(source, start.modality if start else Vector(palette), seed=seed)
    prompts = [dataset[i].prompt for i in range(len(dataset))]
    codec: Any = (
        start.codec if start else Paths(length=length, colours=getattr(dataset.modality, "colours", None) or ())
    )
    symbols = [codec.symbols_of(dataset[i].datum) for i in range(len(dataset))]
    kept = [i for i, row in enumerate(symbols) if len(row) < codec.length]
    rows = [codec.encode([dataset[i].datum])[0] for i in kept]
    place = {i: k for k, i in enumerate(kept)}
    training, validation = ([place[i] for i in side if i in place] for side in (dataset.training, dataset.validation))
    if not training:
        raise Refusal(f"{source}: no drawing has at most {codec.length} tokens; simplify them")
    few = seconds is not None and len(training) < FEW

    def begun(options: dict[str, Any]) -> Generator:
        torch.manual_seed(seed)
        wide = options["width"]
        backbone = Transformer(wide, options["layers"], heads=max(1, wide // 64), dropout=dropout)
        process = Autoregressive(codec.space, backbone, fill=fill)
        conditioner = Text.learned(wide, prompts) if any(prompts) else Nothing()
        settings = {"guidance": 1.5, "temperature": 0.7}
        return Generator(dataset.modality, codec, process, conditioner, settings=settings)

    def batches(model: Generator, batch: int) -> Batches:
        said = model.conditioner.accepted(prompts)
        symbols_BM = model.conditioner.prepare([said[i] for i in kept])
        held_out = Batches(rows, symbols_BM, batch, index=validation) if validation else None
        return Batches(rows, symbols_BM, batch, seed, held_out=held_out, index=training)

    def trial(options: dict[str, Any]) -> Trial:
        model = begun(options)
        return model, batches(model, options["batch"]), Settings(options["rate"])

    asked = {"width": width, "layers": layers, "batch": batch, "rate": rate, "average": average}
    adapted, most = start is not None, MOST
    if few and not adapted:
        most = -(-PASSES * len(training) // (batch or BATCH))
    if start is None:
        chosen = choose(DRAWINGS, network, asked, seconds, trial, most)
        start = begun(chosen.options)
    else:
        chosen = Choice({"batch": batch or BATCH, "rate": rate or 0.01, "average": average or 0.998})
    model, options = start, chosen.options
    settings = Settings(rate=options["rate"], average=options["average"], compile=False)
    stage = Stage("gpt", model, lambda: batches(model, options["batch"]), settings, most=most)
    facts = {"drawings": len(training), "too_long": len(dataset) - len(kept)}
    said = model.conditioner.accepted(prompts)
    previews = [said[i] for i in (dataset.validation or dataset.training)[:8]]
    return Plan(model, [stage], dataset, facts, previews, chosen)
