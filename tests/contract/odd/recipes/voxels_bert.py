"""Solid things by a BERT over the symbols of a quantised codec."""

import torch
from septet.modalities.voxels import SIDE, Voxels  # pyright: ignore[reportMissingImports]

from septet.backbones.transformer import Transformer
from septet.codecs.distances import Squares
from septet.codecs.quantised import Quantised
from septet.conditioners.text import Text
from septet.fitting import Settings
from septet.generator import Generator
from septet.processes.masked import Masked
from septet.recipes import Plan, recipe
from septet.recipes._grids import coded_plan, gathered


@recipe(Voxels, default=True)
def voxels_bert(source, seed=0, start=None, seconds=None, width: int = 32, batch: int = 8) -> Plan:
    """A quantised codec of three axes, then a masked transformer."""
    data, trained = gathered(source, Voxels(), batch, seed), start is not None
    if start is None:
        torch.manual_seed(seed)
        codec = Quantised((SIDE, SIDE, SIDE), 4, (4, 4), width=8, down=4, distance=Squares(), alpha=False)
        process = Masked(codec.space, Transformer(width, 1, heads=2), fill=0.5)
        start = Generator(data.dataset.modality, codec, process, Text.learned(width, data.prompts))
    fits = (Settings(rate=0.002, optimiser="adamw"), Settings())
    return coded_plan(data, start, Quantised, fits, 0.5, trained)
