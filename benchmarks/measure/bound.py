"""The likelihood of the variational codec on binarised digits: the importance-weighted bound with 500 samples.

In training, pixels are binarised at random at every use, with their grey value as the probability; the test digits are
binarised once, with a fixed seed.
"""

import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from septet.codecs.variational import Variational, bound
from septet.fitting import Settings, fit
from septet.fitting.pace import Pace

THRESHOLD_NATS = 89.8  # a published VAE library's figure
SAMPLES, SEED, HELD_OUT = 500, 1234, 2048
CODEC = {"latent_channels": 40, "width": 32, "vector": True}
SETTINGS = Settings(optimiser="adamw", rate=2e-3, betas=(0.9, 0.99), average=0.999, validations=10)
BATCH = 128


class Digits:
    """Training batches by step; validation on random training digits, since the file is sorted by class."""

    def __init__(self, images_BHWC: Tensor, batch: int):
        order = torch.randperm(len(images_BHWC), generator=torch.Generator().manual_seed(SEED))
        held_out = min(HELD_OUT, len(images_BHWC) // 10)
        self.train, self.held_out = images_BHWC[order[held_out:]], images_BHWC[order[:held_out]]
        self.batch = batch

    def at(self, step: int) -> dict[str, Any]:
        epoch, place = divmod(step, max(1, len(self.train) // self.batch))
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(epoch))
        return {"data": self.train[order[place * self.batch : (place + 1) * self.batch]]}

    def validation(self) -> Iterator[dict[str, Any]]:
        for data in self.held_out.split(512):
            yield {"data": data}


def binarised(images_BHWC: Tensor) -> Tensor:
    """Bytes 0 and 255: each pixel is 255 with its grey value as the probability."""
    drawn = torch.bernoulli(images_BHWC.float() / 255, generator=torch.Generator().manual_seed(SEED))
    return (drawn * 255).to(torch.uint8)


def vae_bound(train: Tensor, test: Tensor, seconds: float, seed: int, **codec: Any) -> dict[str, float]:
    """Trains for `seconds`; returns the bound in nats on `test`, uint8 (B, 28, 28, 1), computed in fp32."""
    torch.manual_seed(seed)
    learner = Variational((28, 28), 1, likelihood="bernoulli", **(CODEC | codec))
    steps = sum(1 for _ in fit(learner, Digits(train, BATCH), SETTINGS, Pace(seconds=seconds), seed))
    began = time.monotonic()
    nats = bound(learner, binarised(test), SAMPLES)
    error = nats.std() / len(nats) ** 0.5
    figures = {"bound_nats": float(nats.mean()), "standard_error_nats": float(error), "steps": float(steps)}
    return figures | {"training_seconds": seconds, "bound_seconds": time.monotonic() - began}
