"""Reconstruction losses of learned codecs.

Shapes: B batch, C channels; _ stands for the axes of the grid.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ..part import Part


class Squares(Part, nn.Module):
    """Mean squared error per datum: two (B, *S, C) to (B,)."""

    @classmethod
    def tiny(cls) -> "Squares":
        return cls()

    def forward(self, drawn_B_C: Tensor, data_B_C: Tensor) -> Tensor:
        return (drawn_B_C - data_B_C).square().flatten(1).mean(1)


class Crispness(Part, nn.Module):
    """Mean absolute plus mean squared error, plus `edges` times the mean absolute error of the gradients between
    neighbours, which penalises blur (Mathieu et al. 2016, eq. 6); (B,). With `alpha`, the data are premultiplied RGBA
    and are compared over black and over white."""

    version = 2

    def __init__(self, edges: float = 1.0, alpha: bool = False):
        super().__init__()
        self.edges, self.alpha = edges, alpha

    @classmethod
    def tiny(cls) -> "Crispness":
        return cls()

    @classmethod
    def upgrade(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
        return arguments | {"alpha": False} if version == 1 else super().upgrade(arguments, version)  # see grids

    def forward(self, drawn_B_C: Tensor, data_B_C: Tensor) -> Tensor:
        error = drawn_B_C - data_B_C
        if self.alpha:  # premultiplied colour is the picture over black; over white, (1 - alpha) is added
            error = torch.cat([error, error[..., :3] - error[..., 3:]], -1)
        total = error.abs().flatten(1).mean(1) + error.square().flatten(1).mean(1)
        if self.edges:
            steps = [error.diff(dim=axis).abs().flatten(1).mean(1) for axis in range(1, error.dim() - 1)]
            total = total + self.edges * torch.stack(steps).mean(0)
        return total
