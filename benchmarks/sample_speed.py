"""Image sampling speed of the diffusion recipe against `diffusers`: pictures per second of equal networks, by turns.

    python benchmarks/sample_speed.py [--quick] [--rounds 9]

Ours is the network of the recipe `image_diffusion`, sampled by generate() with everything that this includes: noise by
seed, decoding, records. Theirs is a DiTTransformer2DModel of the same width, depth, heads, patch and picture size with
the flow-matching Euler scheduler, in the loop of its documentation. Both take Euler steps, one evaluation each, without
guidance; weights are untrained, which does not change the cost. Measured in fp32, the default of both, and in bf16.
"""

import importlib.util
import statistics
import time
from collections.abc import Callable

import measure.report as report
import measure.rounds as rounds
import numpy as np
import torch
from measure.report import Figure

from septet.generator import Generator
from septet.recipes.image_diffusion import image_diffusion

THRESHOLD = 1.0
LABELS = 10


def recipe(**options: int) -> Generator:
    """The recipe's generator for labels, on pictures of noise."""
    stream, size = np.random.Generator(np.random.Philox(0)), options["size"]
    pictures = stream.integers(0, 256, (2 * LABELS, size, size, 4), np.uint8)
    labels = [str(i % LABELS) for i in range(len(pictures))]
    return image_diffusion((pictures, labels), prompts="labels", **options).generator


def dit(model: Generator) -> torch.nn.Module:
    """The `diffusers` network of the same size."""
    from diffusers import DiTTransformer2DModel

    backbone, codec = model.process.backbone, model.codec
    network = DiTTransformer2DModel(
        num_attention_heads=backbone.width // backbone.head_width,
        attention_head_dim=backbone.head_width,
        in_channels=codec.channels,
        num_layers=len(backbone.blocks),
        sample_size=codec.size,
        patch_size=codec.patch,
    )
    return network.eval()


def ours(model: Generator, count: int, steps: int, bf16: bool) -> Callable[[], None]:
    prompts = [str(i % LABELS) for i in range(count)]

    def draw() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            model.generate(prompts, tile=count, steps=steps, solver="euler", guidance=1.0)

    return draw


def theirs(network: torch.nn.Module, count: int, steps: int, bf16: bool) -> Callable[[], None]:
    from diffusers import FlowMatchEulerDiscreteScheduler

    config, labels_B = network.config, torch.arange(count) % LABELS
    shape = (count, config.in_channels, config.sample_size, config.sample_size)

    @torch.no_grad()
    def draw() -> None:
        scheduler = FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(steps)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            for level in scheduler.timesteps:
                velocity = network(x, timestep=level.expand(count), class_labels=labels_B).sample
                x = scheduler.step(velocity, level, x).prev_sample
        ((x.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()

    return draw


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, default=16, help="pictures per batch")
    parser.add_argument("--steps", type=int, default=20)
    asked, began = parser.parse_args(), time.monotonic()
    if importlib.util.find_spec("diffusers") is None:
        report.skip("Skipped: diffusers is not installed; pip install 'septet[bench]'.")
        return
    model = (recipe(size=16, width=32, layers=2) if asked.quick else recipe(size=32)).eval()
    network = dit(model)
    count, steps, laps = (2, 2, 2) if asked.quick else (asked.count, asked.steps, asked.rounds)
    contestants = {}
    for bf16, suffix in ((False, ""), (True, ", bf16")):
        contestants[f"septet{suffix}"] = ours(model, count, steps, bf16)
        contestants[f"diffusers{suffix}"] = theirs(network, count, steps, bf16)
    found = rounds.speeds(contestants, count, laps, 1)
    figures = [Figure(name, statistics.median(values), "pictures/s") for name, values in found.items()]
    plain, halved = rounds.ratio(found, "septet", "diffusers"), rounds.ratio(found, "septet, bf16", "diffusers, bf16")
    figures.append(Figure("septet / diffusers", plain, "times", at_least=THRESHOLD))
    figures.append(Figure("septet / diffusers, bf16", halved, "times", at_least=THRESHOLD))
    backbone = model.process.backbone
    facts = {"width": backbone.width, "layers": len(backbone.blocks), "size": model.codec.size, "count": count}
    facts |= {"steps": steps, "parameters": sum(p.numel() for p in model.process.parameters())}
    facts["their_parameters"] = sum(p.numel() for p in network.parameters())
    report.answer(figures, began, asked.quick, **facts)


if __name__ == "__main__":
    main()
