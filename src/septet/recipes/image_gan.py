"""Pictures by a GAN: a convolutional generator and critic, the relativistic pairing loss, R1 and R2 penalties."""

from typing import Any

import torch

from ..backbones.convolution import Generative, Judge
from ..codecs.patches import Patches
from ..fitting import Settings
from ..generator import Generator
from ..modalities.image import Image
from ..processes.adversarial import Adversarial
from ..space import Refusal
from . import Plan, Stage, recipe
from ._grids import conditioner_for
from ._pictures import gather


@recipe(Image)
def image_gan(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    size: int = 32,
    channels: int = 4,
    palette: int | None = None,
    tile: int | None = None,
    prompts: str = "labels",
    width: int = 32,
    stages: int = 2,
    blocks: int = 1,
    noise_size: int = 64,
    vector: int = 64,
    penalty: float = 1.0,
    batch: int = 64,
    rate: float = 0.0005,
    average: float = 0.999,
) -> Plan:
    """Generates in one step. `penalty` is the weight of both gradient penalties, annealed to a tenth."""
    pictures = gather(source, size, palette, tile, batch, seed, start)
    if start is None:
        codec = Patches(size, 1, channels, alpha=channels == 4)
        torch.manual_seed(seed)
        conditioner = conditioner_for(prompts, vector, pictures.prompts)
        vector = vector if conditioner.takes_prompts else 0
        generative = Generative(codec.space, noise_size, width, stages, blocks, vector)
        judge = Judge(codec.space, width, stages, blocks, vector)
        process = Adversarial(codec.space, generative, judge, noise_size, penalty, penalty, anneal=0.1)
        start = Generator(pictures.dataset.modality, codec, process, conditioner, prompt_dropout=0.0)
    model = start
    if not isinstance(model.process, Adversarial):
        raise Refusal(f"start={model.name}: image_gan can only fine-tune a GAN; choose one")
    fit = Settings(
        rate=rate, optimiser="adamw", betas=(0.0, 0.99), weight_decay=0.0, average=average, clip=None, decay=0.3
    )
    stage = Stage("gan", model, lambda: pictures.batches(model.conditioner), fit)
    facts = {"pictures": len(pictures.dataset.training)}
    return Plan(model, [stage], pictures.dataset, facts, pictures.previews(model.conditioner))
