"""What recipes share whose data are grids of one shape (pictures, clips, voxels, sound of one length): prompts,
batches, and two stages, a codec and a process over its latents."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..codecs.quantised import Quantised
from ..codecs.variational import Variational
from ..conditioners.attributes import Attributes
from ..conditioners.nothing import Nothing
from ..conditioners.text import Text
from ..contracts import Codec, Conditioner, Modality, Prompt
from ..data.batches import Batches, View, evenly
from ..data.dataset import Dataset, read
from ..devices import mapped
from ..fitting import Settings
from ..generator import Generator
from ..space import Refusal
from . import Plan, Stage

ROWS = 256  # data that are encoded at a time
MEASURED = 2048  # data, at most, that the scale of a variational codec is measured on


@dataclass
class Gathered:
    """A data set of grids of one shape, and how its batches are made. `noun` is what the model's card calls them."""

    dataset: Dataset
    batch: int
    seed: int
    noun: str = "items"

    @property
    def prompts(self) -> list[Prompt]:
        return self.dataset.prompts

    @property
    def held_out(self) -> list[int]:
        """The items to validate on; where none were kept from training, some that were not."""
        return self.dataset.validation or self.dataset.training[: self.batch]

    def previews(self, conditioner: Conditioner) -> list[Prompt]:
        """The prompts of eight held-out items."""
        said = conditioner.accepted(self.prompts)
        return [said[i] for i in (self.dataset.validation or self.dataset.training)[:8]]

    def batches(self, conditioner: Conditioner, views: View | None = None) -> Batches:
        """Batches of the data with their prompts."""
        prompts, data = conditioner.prepare(conditioner.accepted(self.prompts)), self.dataset.data
        validation = Batches(data, prompts, self.batch, name="data", index=self.held_out)
        return Batches(data, prompts, self.batch, self.seed, views, validation, "data", self.dataset.training)

    def latents(self, conditioner: Conditioner, codec: Codec) -> Batches:
        """Batches of the data's latents with their prompts. A variational codec's are drawn from their distribution,
        those of training anew at every step, those of validation once."""
        prompts = conditioner.prepare(conditioner.accepted(self.prompts))
        if not isinstance(codec, Variational):
            rows = encoded(codec.eval().encode, self.dataset.data)
            validation = Batches(rows, prompts, self.batch, name="latents", index=self.held_out)
            return Batches(rows, prompts, self.batch, self.seed, None, validation, "latents", self.dataset.training)
        rows = encoded(distribution(codec), self.dataset.data)
        stream = torch.Generator().manual_seed(self.seed % 2**63)
        once = torch.stack([drawn(rows[i], stream) for i in self.held_out])
        validation = Batches(once, mapped(lambda t: t[self.held_out], prompts), self.batch)
        return Batches(rows, prompts, self.batch, self.seed, drawn, validation, "latents", self.dataset.training)

    def few_latents(self, generator: Generator) -> Batches:
        """One batch of latents, of a codec that has learned nothing yet: to see how long a step takes."""
        codec, some = generator.codec, self.dataset.training[: self.batch]
        rows = encoded(codec.eval().encode, self.dataset.data[some])
        said = generator.conditioner.accepted([self.prompts[i] for i in some])
        return Batches(rows, generator.conditioner.prepare(said), len(rows), self.seed)

    def measuring(self) -> list[Any]:
        """Some of the training data, in batches."""
        some = evenly(self.dataset.training, MEASURED)
        return [self.dataset.data[some[begin : begin + ROWS]] for begin in range(0, len(some), ROWS)]


def gathered(source: Any, modality: Modality, batch: int, seed: int, noun: str = "items") -> Gathered:
    """The data of `source`, which must have one shape and type as the modality gives them."""
    dataset = read(source, modality, seed=seed)
    if not isinstance(dataset.data, np.ndarray):
        raise Refusal(
            f"{modality.name} data of several shapes or types: this recipe takes arrays of one; let the modality bring "
            "each to one shape as it gives its pieces"
        )
    return Gathered(dataset, batch, seed, noun)


def conditioner_for(prompts: str, width: int, said: list[Prompt]) -> Conditioner:
    """Free text, labels (and attributes, where data have them), or nothing."""
    if prompts not in ("text", "labels", "nothing"):
        raise Refusal(f"prompts={prompts!r}: expected 'text', 'labels' or 'nothing'")
    if prompts == "nothing" or not any(said):
        return Nothing()
    if prompts == "labels" or any(isinstance(p, dict) for p in said):
        return Attributes.learned(width, said)
    return Text.learned(width, said)


@torch.no_grad()
def encoded(encode: Callable[[Any], Tensor], data: Any) -> Tensor:
    """What `encode` makes of all data, a few at a time."""
    return torch.cat([encode(data[begin : begin + ROWS]).cpu() for begin in range(0, len(data), ROWS)])


def distribution(codec: Variational) -> Callable[[Any], Tensor]:
    """Encodes data to (B, 2, N, C), mean and deviation of their latents."""
    return lambda data: torch.stack(codec.eval().encode_distribution(data), 1).half()


def drawn(row_2NC: Tensor, stream: torch.Generator) -> Tensor:
    """Latents from the distribution of one datum."""
    mean_NC, deviation_NC = row_2NC.float()
    return mean_NC + deviation_NC * torch.randn(mean_NC.shape, generator=stream)


def coded_plan(
    data: Gathered,
    generator: Generator,
    kind: type[Quantised] | type[Variational],
    fits: tuple[Settings, Settings],
    codec_share: float,
    trained: bool,
) -> Plan:
    """A Plan in two stages, a codec of a kind and a process over its latents; in one where the codec is `trained`."""
    codec, conditioner = generator.codec, generator.conditioner
    if not isinstance(codec, kind):
        name = f"{generator.name}: its codec is a {type(codec).__name__}"
        raise Refusal(f"start={name}, expected {kind.__name__}; choose a model of the same recipe")
    if not trained:
        codec.requires_grad_(True)  # a Generator freezes its codec

    def calibrate() -> None:
        if isinstance(codec, Variational):
            codec.eval()
            codec.calibrate(data.measuring())

    first = Stage("codec", codec, lambda: data.batches(conditioner), fits[0], codec_share, calibrate)
    second = Stage("model", generator, lambda: data.latents(conditioner, codec), fits[1], 1 - codec_share)
    stages = [second] if trained else [first, second]
    return Plan(
        generator,
        stages,
        data.dataset,
        {data.noun: len(data.dataset.training)},
        data.previews(conditioner),
    )
