"""What the recipes for pictures share: reading, prompts, batches, and the latents of a codec trained before."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..codecs.quantised import Quantised
from ..conditioners.attributes import Attributes
from ..conditioners.nothing import Nothing
from ..conditioners.text import Text
from ..contracts import Codec, Conditioner, Prompt
from ..data.batches import Batches, View
from ..data.dataset import Dataset, read
from ..fitting import Settings
from ..generator import Generator
from ..modalities.image import Image
from ..space import Refusal
from . import Plan, Stage


@dataclass
class Pictures:
    """A data set of pictures of one size, and how its batches are made."""

    dataset: Dataset
    batch: int
    seed: int

    @property
    def prompts(self) -> list[Prompt]:
        return self.dataset.prompts

    def previews(self, conditioner: Conditioner) -> list[Prompt]:
        """The prompts of eight held-out pictures."""
        said = conditioner.heard(self.prompts)
        return [said[i] for i in (self.dataset.validation or self.dataset.training)[:8]]

    def batches(self, conditioner: Conditioner, items: Any = None, views: View | None = None) -> Batches:
        """Batches of the pictures, or of `items` that stand for them, with their prompts."""
        items = self.dataset.data if items is None else items
        prompts = conditioner.prepare(conditioner.heard(self.prompts))
        held_out = self.dataset.validation or self.dataset.training[: self.batch]
        validation = Batches(items, prompts, self.batch, index=held_out)
        return Batches(items, prompts, self.batch, self.seed, views, validation, index=self.dataset.training)


def gather(
    source: Any, size: int, palette: int | None, tile: int | None, batch: int, seed: int, start: Generator | None
) -> Pictures:
    """The pictures of `source` at one size, that of the model to `start` from where there is one."""
    colours = None
    if start is not None:
        if not isinstance(start.modality, Image):
            raise Refusal(f"start={start.name}: it draws {start.modality.name}, not pictures; choose another model")
        size, palette, colours = start.modality.size, start.modality.palette, start.modality.colours
    return Pictures(read(source, Image(size, palette, tile, colours), seed=seed), batch, seed)


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
def encoded(codec: Codec, items: Any, rows: int = 256) -> Tensor:
    """The latents of all items."""
    codec.eval()
    parts = [codec.encode(torch.tensor(items[begin : begin + rows])).cpu() for begin in range(0, len(items), rows)]
    return torch.cat(parts)


def tokens_plan(
    pictures: Pictures, generator: Generator, fits: tuple[Settings, Settings], codec_share: float, trained: bool
) -> Plan:
    """A Plan in two stages, an FSQ codec and a process over its symbols; in one where the codec is `trained`."""
    codec = generator.codec
    if not isinstance(codec, Quantised):
        raise Refusal(f"start={generator.name}: its codec makes no symbols; choose a model of the same recipe")
    if not trained:
        codec.requires_grad_(True)  # a Generator freezes its codec

    def symbols() -> Batches:
        return pictures.batches(generator.conditioner, encoded(codec, pictures.dataset.data))

    first = Stage("codec", codec, lambda: pictures.batches(generator.conditioner), fits[0], codec_share)
    second = Stage("model", generator, symbols, fits[1], 1 - codec_share)
    facts = {"pictures": len(pictures.dataset.training)}
    return Plan(
        generator,
        [second] if trained else [first, second],
        pictures.dataset,
        facts,
        pictures.previews(generator.conditioner),
    )
