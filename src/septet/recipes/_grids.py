"""Shared by recipes whose data are grids of one shape (pictures, clips, voxels, sound of one length): prompts,
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

ROWS = 256  # data encoded at a time
MEASURED = 2048  # at most so many data calibrate the scale of a variational codec


@dataclass
class Gathered:
    """A data set of grids of one shape, and its batches. `noun` is the name of its items on the model card."""

    dataset: Dataset
    batch: int
    seed: int
    noun: str = "items"

    @property
    def prompts(self) -> list[Prompt]:
        return self.dataset.prompts

    @property
    def held_out(self) -> list[int]:
        """Indices of the validation set; without one, of the first training batch."""
        return self.dataset.validation or self.dataset.training[: self.batch]

    def previews(self, conditioner: Conditioner) -> list[Prompt]:
        """The prompts of eight validation items (training items, if there is no validation set)."""
        said = conditioner.accepted(self.prompts)
        return [said[i] for i in (self.dataset.validation or self.dataset.training)[:8]]

    def batches(self, conditioner: Conditioner, views: View | None = None) -> Batches:
        """Batches of the data with their prompts."""
        prompts, data = conditioner.prepare(conditioner.accepted(self.prompts)), self.dataset.data
        validation = Batches(data, prompts, self.batch, name="data", index=self.held_out)
        return Batches(data, prompts, self.batch, self.seed, views, validation, "data", self.dataset.training)

    def latents(self, conditioner: Conditioner, codec: Codec) -> Batches:
        """Batches of the data's latents with their prompts. Those of a variational codec are sampled from the
        posterior, for training at every step, for validation once."""
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
        """One batch of latents of an untrained codec, to time a training step."""
        codec, some = generator.codec, self.dataset.training[: self.batch]
        rows = encoded(codec.eval().encode, self.dataset.data[some])
        said = generator.conditioner.accepted([self.prompts[i] for i in some])
        return Batches(rows, generator.conditioner.prepare(said), len(rows), self.seed)

    def measuring(self) -> list[Any]:
        """Batches of at most MEASURED training data, evenly spaced."""
        some = evenly(self.dataset.training, MEASURED)
        return [self.dataset.data[some[begin : begin + ROWS]] for begin in range(0, len(some), ROWS)]


def gathered(source: Any, modality: Modality, batch: int, seed: int, noun: str = "items") -> Gathered:
    """Reads the data of `source`. Raises Refusal if the modality's pieces differ in shape or type."""
    dataset = read(source, modality, seed=seed)
    if not isinstance(dataset.data, np.ndarray):
        raise Refusal(
            f"{modality.name} data of several shapes or types: this recipe needs arrays of one shape and type; convert "
            "them in the modality's pieces()"
        )
    return Gathered(dataset, batch, seed, noun)


def conditioner_for(prompts: str, width: int, said: list[Prompt]) -> Conditioner:
    """A conditioner for `prompts`: "text", "labels" (or attributes, if the data have them) or "nothing"."""
    if prompts not in ("text", "labels", "nothing"):
        raise Refusal(f"prompts={prompts!r}: expected 'text', 'labels' or 'nothing'")
    if prompts == "nothing" or not any(said):
        return Nothing()
    if prompts == "labels" or any(isinstance(p, dict) for p in said):
        return Attributes.learned(width, said)
    return Text.learned(width, said)


@torch.no_grad()
def encoded(encode: Callable[[Any], Tensor], data: Any) -> Tensor:
    """Encodes all data, ROWS at a time, to one tensor on the CPU."""
    return torch.cat([encode(data[begin : begin + ROWS]).cpu() for begin in range(0, len(data), ROWS)])


def distribution(codec: Variational) -> Callable[[Any], Tensor]:
    """A function that encodes data to (B, 2, N, C), mean and standard deviation of their latents."""
    return lambda data: torch.stack(codec.eval().encode_distribution(data), 1).half()


def drawn(row_2NC: Tensor, stream: torch.Generator) -> Tensor:
    """(N, C) latents sampled from the distribution of one datum."""
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
    """A Plan in two stages, the codec and a process over its latents; in one stage if the codec is already `trained`.
    Raises Refusal if the codec is not of type `kind`."""
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
