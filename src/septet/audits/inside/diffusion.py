"""Sections about a diffusion model: its predictions at several noise levels, and attention maps of words."""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...conditioners.text import Text
from ...processes.flow import Flow
from ...storage.pictures import shown
from ..audited import Audited
from ..losses import hear
from ..page import TILE, Section, Tile, tile
from .attention import recorded
from .held_out import items

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.85, 0.95)
WORD_LEVEL = 0.7  # a noise level at which the composition is settled and details are not
MOST_WORDS = 12


def view(audited: Audited) -> Iterator[Section]:
    model, process = audited.model, audited.model.process
    assert isinstance(process, Flow)
    for _, prompt, latents in items(audited, 1):
        context = hear(audited.model, [prompt])
        noise = process.noise([0]).to(latents.device)
        noisy, guessed = [], []
        for level in LEVELS:
            x = _noised(process, latents, noise, level)
            with torch.no_grad():
                guess = process.answer(x, torch.full((1,), level, device=x.device), None, context)
            noisy.append(tile(model.modality, model.shown(x)[0], f"{level:.0%} noise"))
            guessed.append(tile(model.modality, model.shown(guess)[0], "prediction"))
        sentences = [
            f"This is {audited.shown} with increasing noise, and below it the clean data that the model predicts."
        ]
        yield Section("noise", "Predictions from noise", sentences, strips=[noisy, guessed])
        if isinstance(model.conditioner, Text) and prompt and len(process.space.shape) == 2:
            tiles = list(_words(audited, process, latents, noise, str(prompt)))
            sentences = [f"Attention of each place to each word of {prompt!r}, means over layers and heads."]
            if tiles:
                yield Section("word_maps", "Attention to each word", sentences, tiles)


def _noised(process: Flow, latents: Tensor, noise: Tensor, level: float) -> Tensor:
    return (1 - level) * latents + level * noise * process.deviation


def _words(audited: Audited, process: Flow, latents: Tensor, noise: Tensor, prompt: str) -> Iterator[Tile]:
    conditioner, context = audited.model.conditioner, hear(audited.model, [prompt])
    assert isinstance(conditioner, Text)
    x, level = _noised(process, latents, noise, WORD_LEVEL), torch.full((1,), WORD_LEVEL, device=latents.device)
    layers = recorded(process, lambda: process.answer(x, level, None, context))
    M = 0 if context.tokens_BMD is None else context.tokens_BMD.shape[1]
    maps = [w[0, :, M:, :M].mean(0) for w in layers if w.shape[-1] == M + process.space.sites]
    if not maps or not M:
        return
    weights_NM = torch.stack(maps).mean(0)
    tokens = conditioner.tokenizer.encode(prompt).tokens[: min(M, MOST_WORDS)]
    for token, weights_N in zip(tokens, weights_NM.T, strict=False):
        shades = weights_N.view(process.space.shape).cpu().numpy()
        shades = (255 * (shades - shades.min()) / max(float(np.ptp(shades)), 1e-9)).astype(np.uint8)
        picture = Image.fromarray(shades).resize((TILE, TILE), Image.Resampling.BILINEAR)
        yield Tile(shown(picture), token.replace("\u0120", " ").strip() or token)
