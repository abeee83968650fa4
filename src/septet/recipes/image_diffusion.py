"""Pictures by diffusion: flow matching with a transformer over patches that predicts clean data."""

from typing import Any

import torch

from ..backbones.transformer import Transformer
from ..codecs.patches import Patches
from ..fitting import Settings
from ..fitting.sizes import MOST, Choice, Trial, choose
from ..generator import Generator
from ..modalities.image import Image
from ..processes.flow import Flow
from ..space import Refusal
from . import Enough, Plan, Stage, recipe
from ._families import pictures as family
from ._grids import conditioner_for
from ._pictures import gather

FEW, PASSES, LEAST = 2000, 300, 3000  # fewer pictures are overfitted after more passes, of at least so many steps


@recipe(Image, default=True, few=2000, enough=Enough("pictures", train=400))
def image_diffusion(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    size: int = 32,
    network: str = "auto",
    patch: int = 0,
    channels: int = 4,
    palette: int | None = None,
    tile: int | None = None,
    prompts: str = "text",
    width: int = 0,
    layers: int = 0,
    batch: int = 0,
    rate: float = 0.0,
    average: float = 0.0,
    fill: float = 0.2,
) -> Plan:
    """A modulated transformer over patches of `patch` pixels a side. `network`: "xs", "s", "m", "l", "xl", or "auto"
    for the largest that fits the budget ("l" with --steps); `patch`, `width`, `layers`, `batch`, `rate` and `average`
    above 0 override it. `prompts`: "text", "labels" or "nothing". On a budget, training on fewer than 2000 pictures
    from random weights ends after 300 passes, at least 3000 steps, with network "s" or smaller: more would overfit."""
    pictures = gather(source, size, palette, tile, batch, seed, start)
    items, most = len(pictures.dataset.training), MOST
    few = seconds is not None and start is None and items < FEW

    def begun(options: dict[str, Any]) -> Generator:
        torch.manual_seed(seed)
        codec, wide = Patches(size, options["patch"], channels, alpha=channels == 4), options["width"]
        backbone = Transformer(wide, options["layers"], heads=max(2, wide // 64), modulated=True, rotary_base=100.0)
        process = Flow(codec.space, backbone, level_mean=0.4, fill=fill, deviation=0.6)
        conditioner = conditioner_for(prompts, wide, pictures.prompts)
        settings = {"guidance": 1.5, "steps": 20, "solver": "heun"}
        return Generator(pictures.dataset.modality, codec, process, conditioner, settings=settings)

    def trial(options: dict[str, Any]) -> Trial:
        pictures.batch = options["batch"]
        model = begun(options)
        return model, pictures.batches(model.conditioner), Settings(rate=options["rate"])

    asked = {"patch": patch, "width": width, "layers": layers, "batch": batch, "rate": rate, "average": average}
    if start is None:
        sizes = family(size, patch, "s" if few else None)
        passes = -(-PASSES * items // (batch or sizes.named("s").options["batch"]))
        most = max(LEAST, passes) if few else MOST
        chosen = choose(sizes, network, asked, seconds, trial, most)
        model = begun(chosen.options)
    else:
        chosen, model = Choice({"batch": batch or 64, "rate": rate or 0.02, "average": average or 0.999}), start
    if not isinstance(model.codec, Patches) or not isinstance(model.process, Flow):
        raise Refusal(
            f"start={model.name}: image_diffusion can only fine-tune a diffusion model of patches; choose one"
        )
    pictures.batch, compiled = chosen.options["batch"], seconds is not None and seconds >= 600
    fit = Settings(rate=chosen.options["rate"], average=chosen.options["average"], compile=compiled, best=False)
    stage = Stage("diffusion", model, lambda: pictures.batches(model.conditioner), fit, most=most)
    facts = {"pictures": items}
    return Plan(model, [stage], pictures.dataset, facts, pictures.previews(model.conditioner), chosen)
