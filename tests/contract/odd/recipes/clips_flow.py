"""Clips by a flow over the latents of a variational codec."""

import torch
from septet.modalities.clips import FRAMES, SIDE, Clips  # pyright: ignore[reportMissingImports]

from septet.backbones.transformer import Transformer
from septet.codecs.variational import Variational
from septet.conditioners.text import Text
from septet.fitting import Settings
from septet.generator import Generator
from septet.processes.flow import Flow
from septet.recipes import Plan, recipe
from septet.recipes._grids import coded_plan, gathered


@recipe(Clips, default=True)
def clips_flow(source, seed=0, start=None, seconds=None, width: int = 32, batch: int = 8) -> Plan:
    """A variational codec of three axes, which keeps every frame, then a flow."""
    data, trained = gathered(source, Clips(), batch, seed), start is not None
    if start is None:
        torch.manual_seed(seed)
        codec = Variational((FRAMES, SIDE, SIDE), 3, 4, width=8, down=(1, 2, 2), stem=1)
        process = Flow(codec.space, Transformer(width, 1, heads=2, modulated=True), fill=0.5)
        start = Generator(data.dataset.modality, codec, process, Text.learned(width, data.prompts))
    fits = (Settings(rate=0.002, optimiser="adamw"), Settings())
    return coded_plan(data, start, Variational, fits, 0.5, trained)
