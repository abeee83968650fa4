"""The likelihood of the variational codec on binarised MNIST: the importance-weighted bound of 500 samples.

Training redraws every digit's pixels each time from its grey values; the test digits are drawn once with a fixed seed.

    python benchmarks/mnist_bound.py [--quick] [--seconds 1800] [--data mnist.npz]
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from septet.codecs.variational import Variational, bound
from septet.fitting import Settings, fit
from septet.pace import Pace

DATA = Path(__file__).parents[2] / "shared" / "data" / "mnist.npz"
THRESHOLD_NATS = 89.8  # a published VAE library's figure
SAMPLES, SEED, BATCH, HELD_OUT = 500, 1234, 128, 2048


def codec() -> Variational:
    """A convolutional VAE with one vector of 40 numbers."""
    return Variational((28, 28), 1, latent_channels=40, width=32, vector=True, likelihood="bernoulli")


class Digits:
    """Training batches by step; the last training digits for validation."""

    def __init__(self, images_BHWC: Tensor):
        self.train, self.held_out = images_BHWC[:-HELD_OUT], images_BHWC[-HELD_OUT:]

    def at(self, step: int) -> dict[str, Any]:
        per_epoch = len(self.train) // BATCH
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(step // per_epoch))
        begin = step % per_epoch * BATCH
        return {"data": self.train[order[begin : begin + BATCH]]}

    def validation(self) -> Iterator[dict[str, Any]]:
        for data in self.held_out.split(512):
            yield {"data": data}


def binarised(images_BHWC: Tensor) -> Tensor:
    """Bytes of 0 and 255, each pixel one with the chance of its grey value."""
    drawn = torch.bernoulli(images_BHWC.float() / 255, generator=torch.Generator().manual_seed(SEED))
    return (drawn * 255).to(torch.uint8)


def vae_bound(train: Tensor, test: Tensor, seconds: float) -> dict[str, float]:
    """Train for `seconds`, then the bound in nats over `test`, uint8 (B, 28, 28, 1)."""
    torch.manual_seed(0)
    learner = codec()
    settings = Settings(optimiser="adamw", rate=2e-3, betas=(0.9, 0.99), average=0.999, validations=10)
    steps = sum(1 for _ in fit(learner, Digits(train), settings, Pace(seconds=seconds)))
    began = time.monotonic()
    with torch.autocast("cpu", torch.bfloat16):
        nats = bound(learner, binarised(test), SAMPLES)
    error = nats.std() / len(nats) ** 0.5
    figures = {"bound_nats": float(nats.mean()), "standard_error_nats": float(error), "steps": steps}
    return figures | {"train_seconds": seconds, "bound_seconds": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="60 seconds of training, 500 test digits")
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--data", type=Path, default=DATA)
    asked = parser.parse_args()
    if not asked.data.exists():
        print(f"{asked.data}: no such file; give the digits with --data")
        print(json.dumps({"skipped": "no data", "ok": True}))
        return
    with np.load(asked.data) as arrays:
        train, test = (torch.from_numpy(arrays[f"{part}_images"])[..., None] for part in ("train", "test"))
    test = test[::20] if asked.quick else test
    figures = vae_bound(train, test, 60.0 if asked.quick else asked.seconds)
    print(f"{'importance-weighted bound, 500 samples':42} {figures['bound_nats']:7.2f} nats (at most {THRESHOLD_NATS})")
    print(f"{'training, then the bound':42} {figures['train_seconds']:7.0f} s, {figures['bound_seconds']:.0f} s")
    ok = figures["bound_nats"] <= THRESHOLD_NATS
    print(json.dumps(figures | {"threshold_nats": THRESHOLD_NATS, "test_digits": len(test), "ok": ok}))


if __name__ == "__main__":
    main()
