"""Pictures by a VAE: a variational codec, and a Gaussian per label instead of the standard normal prior."""

from typing import Any

import numpy as np
import torch

from ..codecs.variational import Variational
from ..fitting import Settings
from ..generator import Generator
from ..modalities.image import Image
from ..processes.gaussian import Gaussian, different
from ..space import Refusal
from . import Plan, Stage, recipe
from ._grids import conditioner_for
from ._pictures import gather

FITTED = 20_000  # pictures that the Gaussians are fitted to, plus one of each label that these lack


def fair(items: list[int], labels: list[str], seed: int) -> list[int]:
    """FITTED of the items at random, plus one of each label that does not occur among these."""
    order = np.random.Generator(np.random.Philox(seed % 2**64)).permutation(len(items)).tolist()
    first = {labels[k]: k for k in reversed(order)}
    return [items[k] for k in dict.fromkeys(order[:FITTED] + list(first.values()))]


@recipe(Image)
def image_vae(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    size: int = 32,
    channels: int = 4,
    palette: int | None = None,
    tile: int | None = None,
    prompts: str = "labels",
    latent: int = 64,
    width: int = 32,
    hidden: int = 512,
    batch: int = 64,
    rate: float = 0.001,
) -> Plan:
    """An encoder to `latent` numbers per picture and a decoder, trained on the ELBO with learned output variance."""
    pictures = gather(source, size, palette, tile, batch, seed, start)
    if start is None:
        torch.manual_seed(seed)
        alpha = channels == 4
        codec = Variational((size, size), channels, latent, width, vector=True, hidden=hidden, alpha=alpha)
        conditioner = conditioner_for(prompts if prompts == "nothing" else "labels", 8, pictures.prompts)
        said = conditioner.accepted(pictures.prompts)
        labels = conditioner.prepare([said[i] for i in pictures.dataset.training])
        process = Gaussian(codec.space, different(labels))
        start = Generator(pictures.dataset.modality, codec, process, conditioner, prompt_dropout=0.0)
        codec.requires_grad_(True)
    model = start
    codec, process = model.codec, model.process
    if not isinstance(codec, Variational) or not isinstance(process, Gaussian):
        raise Refusal(f"start={model.name}: image_vae can only fine-tune a VAE; choose one")
    said = model.conditioner.accepted(pictures.prompts)
    index = fair(pictures.dataset.training, [str(said[i]) for i in pictures.dataset.training], seed)
    symbols = model.conditioner.prepare([said[i] for i in index])

    @torch.no_grad()
    def fit_prior() -> None:
        data = torch.as_tensor(pictures.dataset.data[index])
        codec.eval()
        codec.calibrate(data.split(256))
        spreads = ((m.cpu(), d.cpu()) for m, d in map(codec.encode_distribution, data.split(256)))
        process.fit_to(torch.cat([m + d * torch.randn(m.shape) for m, d in spreads]), symbols)

    fit = Settings(rate=rate, optimiser="adamw", weight_decay=0.0)
    stage = Stage("vae", codec, lambda: pictures.batches(model.conditioner), fit, after=fit_prior)
    return Plan(
        model,
        [stage],
        pictures.dataset,
        {"pictures": len(pictures.dataset.training)},
        pictures.previews(model.conditioner),
    )
