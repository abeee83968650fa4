"""Finite scalar quantisation (FSQ, Mentzer et al. 2024): encodes data to tokens on a coarser grid.

Shapes: B batch, N sites, J numbers per token; _ stands for the axes of the data's grid, then its channels.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones.convolution import to_grid, to_sites
from ..contracts import Codec, Learner
from ..space import Known, Refusal, Space
from .convolutional import Decoder, Encoder, Pyramid
from .distances import Crispness
from .grids import alpha_by_channels, checked_kind, known_sites, numbers, restored


class Quantised(Codec, Learner):
    """Encodes (B, *shape, channels) to tokens, int64 (B, N) out of prod(levels), on a grid `down` times coarser.
    `values`: "bytes" (uint8) or "reals"; with `alpha`, the four channels are RGBA. `distance` is the reconstruction
    loss, by default Crispness; `down` and `stem` are as in Pyramid. The decoder can be larger than the encoder."""

    version = 2
    counts: Tensor
    below: Tensor
    places: Tensor
    reach: Tensor
    offset: Tensor
    shift: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        channels: int = 4,
        levels: tuple[int, ...] = (8, 5, 5, 5),
        width: int = 32,
        down: int | Sequence[int] = 4,
        stem: int | Sequence[int] = 2,
        blocks: int = 1,
        decoder_width: int | None = None,
        decoder_blocks: int | None = None,
        values: str = "bytes",
        distance: nn.Module | None = None,
        alpha: bool = False,
    ):
        super().__init__()
        checked_kind(values, channels, alpha)
        if not levels or min(levels) < 3:
            raise Refusal(f"levels={list(levels)}: expected at least 3 for each number of a token")
        down_path = Pyramid(tuple(shape), channels, width, blocks, down, stem)
        up_path = Pyramid(tuple(shape), channels, decoder_width or width, decoder_blocks or blocks, down, stem)
        self.space = Space(down_path.coarse, symbols=math.prod(levels))
        self.shape, self.channels, self.alpha = tuple(shape), channels, alpha
        self.values, self.distance = values, distance or Crispness(alpha=alpha)
        self.encoder, self.decoder = Encoder(down_path, len(levels)), Decoder(up_path, len(levels))
        counts = torch.tensor(levels)
        reach, offset = (counts - 1) * (1 - 1e-3) / 2, (counts % 2 == 0) * 0.5
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("below", counts // 2, persistent=False)  # levels below zero
        self.register_buffer("places", counts.cumprod(0) // counts, persistent=False)
        self.register_buffer("reach", reach, persistent=False)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("shift", torch.atanh(offset / reach), persistent=False)

    @classmethod
    def tiny(cls) -> "Quantised":
        return cls((8, 8), levels=(4, 3), width=8)

    @classmethod
    def upgrade(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
        return alpha_by_channels(arguments) if version == 1 else super().upgrade(arguments, version)

    def encode(self, data: Any) -> Tensor:
        return self._symbols(self._bounded(self._entered(data)).round())

    def decode(self, latents: Tensor) -> Tensor:
        if not self.space.holds(latents) or latents.shape[1] != self.space.sites or bool((latents < 0).any()):
            found, space = f"latents of shape {list(latents.shape)}", self.space
            raise Refusal(f"{found}: expected rows of {space.sites} tokens, each at least 0 and below {space.symbols}")
        return restored(self._reconstruction(self._levels(latents)), self.values, self.alpha)

    def encode_known(self, given: Any, where: Any = None) -> Known:
        return known_sites(self, given, where)

    def forward(self, batch: dict[str, Any], player: str, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        x = self._entered(batch["data"])
        bounded = self._bounded(x)
        rounded = bounded + (bounded.round() - bounded).detach()  # straight through, Mentzer et al. 2024, sec. 3.1
        loss = self.distance(self._reconstruction(rounded), x).mean()
        return loss, self._use(self._symbols(rounded.detach().round()))

    def validation(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        total, _ = self(batch, "model", 1.0)
        return {"loss": total, "weight": torch.tensor(float(len(batch["data"])))}

    def _entered(self, data: Any) -> Tensor:
        return numbers(data, self.values, self.shape, self.channels, self.alpha).to(self.reach.device)

    def _bounded(self, x_B_: Tensor) -> Tensor:
        """(B, N, J), each number bounded to the range of its levels."""
        z = to_sites(self.encoder(x_B_)).float()
        return torch.tanh(z + self.shift) * self.reach - self.offset  # Mentzer et al. 2024, appendix A, tan for atanh

    def _symbols(self, levels_BNJ: Tensor) -> Tensor:
        return ((levels_BNJ.long() + self.below) * self.places).sum(-1)

    def _levels(self, symbols_BN: Tensor) -> Tensor:
        return symbols_BN[..., None] // self.places % self.counts - self.below

    def _reconstruction(self, levels_BNJ: Tensor) -> Tensor:
        return self.decoder(to_grid(levels_BNJ / self.below, self.space.shape)).float()

    def _use(self, symbols_BN: Tensor) -> dict[str, Tensor]:
        """Use of the codebook in a batch: the number of distinct tokens, and their perplexity."""
        counts = torch.bincount(symbols_BN.flatten(), minlength=self.space.symbols or 0).float()
        share = counts / counts.sum()
        return {"codes": (counts > 0).sum(), "perplexity": torch.exp(torch.special.entr(share).sum())}
