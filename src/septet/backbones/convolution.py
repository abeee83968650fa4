"""Building blocks of convolutional networks on grids with one, two or three axes; generator and critic of a GAN.

Shapes: B batch, N sites, C channels, D width, Z noise dimension; _ stands for the axes of the grid.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..contracts import Context
from ..part import Part
from ..space import Refusal, Space


class Conv3d(nn.Conv3d):
    """nn.Conv3d that runs in fp32 where the CPU's bf16 kernel (oneDNN in torch 2.13) returns garbage weight gradients:
    on a grid with fewer than 3 sites along an axis."""

    def forward(self, input: Tensor) -> Tensor:
        if min(input.shape[2:]) > 2 or input.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float())


CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: Conv3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
AVERAGES = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def convolution(
    axes: int, entering: int, leaving: int, kernel: int = 3, stride: int | tuple[int, ...] = 1, bias: bool = True
):
    """A convolution that keeps the size of the grid, or divides it by the stride, rounding up."""
    if axes not in CONVOLUTIONS:
        raise Refusal(f"a grid of {axes} axes: convolutions take 1, 2 or 3")
    padding = (kernel - 1) // 2
    return CONVOLUTIONS[axes](entering, leaving, kernel, stride=stride, padding=padding, bias=bias)


def to_grid(x_BND: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Reshapes (B, N, D), sites in row-major order, to (B, D, *shape), with channels innermost in memory."""
    return x_BND.unflatten(1, shape).movedim(-1, 1)


def to_sites(x_BD_: Tensor) -> Tensor:
    """The inverse of `to_grid`."""
    return x_BD_.movedim(1, -1).flatten(1, -2)


def halved(shape: tuple[int, ...], times: int = 1) -> tuple[int, ...]:
    """The shape of a grid after halving it `times` times, rounding up."""
    return tuple(-(-n // 2**times) for n in shape)


def normalisation(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(8, width), width)


class Residual(nn.Module):
    """A residual block, x + convolve(silu(norm(convolve(silu(norm(x)))) * (1 + scale) + shift)), initialised to the
    identity (He et al. 2016; scale and shift from a vector as in Dhariwal & Nichol 2021, sec. 3)."""

    def __init__(self, axes: int, entering: int, leaving: int, vector: int | None = None, dropout: float = 0.0):
        super().__init__()
        self.first_norm, self.second_norm = normalisation(entering), normalisation(leaving)
        self.first, self.second = convolution(axes, entering, leaving), convolution(axes, leaving, leaving)
        self.skip = convolution(axes, entering, leaving, kernel=1) if entering != leaving else nn.Identity()
        self.modulation = None if vector is None else nn.Linear(vector, 2 * leaving)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor, vector_BD: Tensor | None = None) -> Tensor:
        y = self.second_norm(self.first(F.silu(self.first_norm(x))))
        if self.modulation is not None and vector_BD is not None:
            scale, shift = self.modulation(vector_BD).unflatten(1, (-1,) + (1,) * (x.dim() - 2)).chunk(2, dim=1)
            y = y * (1 + scale) + shift
        return self.skip(x) + self.second(self.dropout(F.silu(y)))


class Unnormalised(nn.Module):
    """A residual block of a GAN without normalisation; initial weights are scaled by `share`, 1 / sqrt(number of
    blocks) (R3GAN, Huang et al. 2024; Fixup, Zhang et al. 2019)."""

    def __init__(self, axes: int, width: int, share: float):
        super().__init__()
        self.first, self.second = convolution(axes, width, width), convolution(axes, width, width, bias=False)
        nn.init.kaiming_normal_(self.first.weight, a=0.2)
        with torch.no_grad():
            self.first.weight.mul_(share)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.leaky_relu(self.first(F.leaky_relu(x, 0.2)), 0.2))


class Generative(Part, nn.Module):
    """The generator of a GAN, similar to R3GAN (Huang et al. 2024): maps noise (B, Z) and a context vector to latents
    (B, N, C) of `space`. The size of the grid is doubled `stages` times. `vector_width` is the width of the context
    vector, `aligned_width` that of content aligned with the sites, 0 for none."""

    def __init__(
        self,
        space: Space,
        noise_size: int = 64,
        width: int = 32,
        stages: int = 2,
        blocks: int = 1,
        vector_width: int = 0,
        aligned_width: int = 0,
    ):
        super().__init__()
        if space.channels is None:
            raise Refusal(f"Generative: needs real channels, but {space} holds symbols; use a codec with real latents")
        self.space, self.noise_size = space, noise_size
        self.shapes = [halved(space.shape, times) for times in range(stages, -1, -1)]
        axes, widths = len(space.shape), [width * 2**times for times in range(stages, -1, -1)]
        self.told = nn.Linear(vector_width, noise_size) if vector_width else None
        self.aligned = nn.ModuleList(nn.Linear(aligned_width, w) for w in widths) if aligned_width else None
        entering = noise_size * (2 if vector_width else 1)
        self.enter = nn.Linear(entering, widths[0] * math.prod(self.shapes[0]))
        share = (blocks * len(widths)) ** -0.5
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Unnormalised(axes, w, share) for _ in range(blocks))) for w in widths
        )
        self.narrow = nn.ModuleList(convolution(axes, 2 * w, w, kernel=1) for w in widths[1:])
        self.leave = convolution(axes, width, space.channels)

    @classmethod
    def tiny(cls) -> "Generative":
        return cls(Space((4, 4), channels=3), noise_size=8, width=8, stages=1, vector_width=32)

    def forward(self, noise_BZ: Tensor, context: Context) -> Tensor:
        x = noise_BZ
        if self.told is not None:
            x = torch.cat([x, self.told(_vector(context, "Generative"))], 1)
        x = to_grid(self.enter(x).unflatten(1, (math.prod(self.shapes[0]), -1)), self.shapes[0])
        aligned = _aligned(context, self.aligned, self.shapes, "Generative")
        x = self.blocks[0](x + aligned[0])
        for n, (narrow, blocks) in enumerate(zip(self.narrow, self.blocks[1:], strict=True), 1):
            x = F.interpolate(x, self.shapes[n], mode=LINEAR[len(self.shapes[n])])
            x = blocks(narrow(x) + aligned[n])
        return to_sites(self.leave(F.leaky_relu(x, 0.2))).float()


class Judge(Part, nn.Module):
    """The critic of a GAN, similar to R3GAN: maps latents (B, N, C) of `space` and a context to one score per sample.
    The context vector conditions by projection (Miyato & Koyama 2018); content aligned with the sites is added to the
    features. Twice differentiable, for gradient penalties."""

    def __init__(
        self,
        space: Space,
        width: int = 32,
        stages: int = 2,
        blocks: int = 1,
        vector_width: int = 0,
        aligned_width: int = 0,
    ):
        super().__init__()
        if space.channels is None:
            raise Refusal(f"Judge: needs real channels, but {space} holds symbols; use a codec with real latents")
        self.space = space
        axes, widths = len(space.shape), [width * 2**times for times in range(stages + 1)]
        self.enter = convolution(axes, space.channels, width)
        self.aligned = nn.ModuleList([nn.Linear(aligned_width, width)]) if aligned_width else None
        share = (blocks * len(widths)) ** -0.5
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Unnormalised(axes, w, share) for _ in range(blocks))) for w in widths
        )
        self.widen = nn.ModuleList(convolution(axes, w, 2 * w, kernel=1) for w in widths[:-1])
        features = widths[-1]
        self.features = nn.Linear(features * math.prod(halved(space.shape, stages)), features)
        self.told = nn.Linear(vector_width, features, bias=False) if vector_width else None
        self.leave = nn.Linear(features, 1)

    @classmethod
    def tiny(cls) -> "Judge":
        return cls(Space((4, 4), channels=3), width=8, stages=1, vector_width=32)

    def forward(self, latents_BNC: Tensor, context: Context) -> Tensor:
        x = self.enter(to_grid(latents_BNC, self.space.shape))
        x = self.blocks[0](x + _aligned(context, self.aligned, [self.space.shape], "Judge")[0])
        for widen, blocks in zip(self.widen, self.blocks[1:], strict=True):
            x = blocks(widen(AVERAGES[x.dim() - 2](x, 2, ceil_mode=True)))
        features_BD = F.leaky_relu(self.features(F.leaky_relu(x, 0.2).flatten(1)), 0.2)
        score_B = self.leave(features_BD)[:, 0]
        if self.told is not None:
            told_BD = self.told(_vector(context, "Judge"))
            score_B = score_B + (features_BD * told_BD).sum(1) * features_BD.shape[1] ** -0.5
        return score_B.float()


def _vector(context: Context, asker: str) -> Tensor:
    if context.vector_BD is None:
        raise Refusal(f"{asker}: expected a context vector and got none; use a conditioner that returns one")
    return context.vector_BD


def _aligned(context: Context, layers: nn.ModuleList | None, shapes: list, asker: str) -> list[Tensor | float]:
    """Content aligned with the finest of some grids, projected by one layer per grid."""
    if layers is None and context.aligned_BND is None:
        return [0.0] * len(shapes)
    if layers is None or context.aligned_BND is None:
        made, got = ("none", "some") if layers is None else ("some", "none")
        raise Refusal(f"{asker}: was made for {made} content aligned with its sites and got {got}; set aligned_width")
    finest = to_grid(context.aligned_BND, shapes[-1])
    grids = [F.interpolate(finest, shape, mode="area") for shape in shapes]
    return [to_grid(layer(to_sites(g)), shape) for layer, g, shape in zip(layers, grids, shapes, strict=True)]
