"""Compressed features of many items: principal components, quantised to one byte each.

Shapes: Q queries, R items, F features, A axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

from ..space import Refusal

MOST_AXES = 256
VARIANCE = 0.999  # explained by the axes; the norm of an item's residual is stored as one number
SAMPLE = 4096  # most items from which the axes are computed


@dataclass(frozen=True)
class Reduced:
    """`codes_RA` are int8 coordinates along `axes_FA` in units of `step_A`, relative to `centre_F`; `rest_R` are the
    norms of the residuals."""

    centre_F: Tensor
    axes_FA: Tensor
    step_A: Tensor
    codes_RA: Tensor
    rest_R: Tensor

    def __len__(self) -> int:
        return len(self.codes_RA)

    def distances(self, query_QF: Tensor) -> Tensor:
        """(Q, R) approximate distances; of the residuals, only the norms are compared."""
        return torch.cdist(self.coordinates(query_QF), self._points_RA)

    def coordinates(self, features_nF: Tensor) -> Tensor:
        """(n, A + 1): coordinates along the axes, and norms of the residuals. Raises Refusal for features of another
        length than those that were stored."""
        if features_nF.shape[1:] != self.centre_F.shape:
            found, kept = features_nF.shape[1], len(self.centre_F)
            raise Refusal(
                f"features of {found} numbers, but the evidence has {kept}, from another version of the modality; "
                "train the model again"
            )
        along, rest = _projected(features_nF - self.centre_F, self.axes_FA)
        return torch.cat([along, rest[:, None]], 1)

    @cached_property
    def _points_RA(self) -> Tensor:
        return torch.cat([self.codes_RA.float() * self.step_A, self.rest_R.float()[:, None]], 1)


@dataclass(frozen=True)
class Axes:
    """Centre, principal axes and step sizes, as in Reduced."""

    centre_F: Tensor
    axes_FA: Tensor
    step_A: Tensor

    @classmethod
    def of(cls, sample_nF: Tensor, bytes_an_item: int = MOST_AXES) -> "Axes":
        """Computes the axes from a sample of features, at most `bytes_an_item` of them."""
        centre = sample_nF.mean(0)
        values, vectors = torch.linalg.eigh((sample_nF - centre).T.double() @ (sample_nF - centre).double())
        share = values.flip(0).clamp(min=0).cumsum(0) / values.clamp(min=0).sum().clamp(min=1e-30)
        count = min(int((share < VARIANCE).sum()) + 1, MOST_AXES, max(1, bytes_an_item), sample_nF.shape[1])
        axes = vectors.flip(1)[:, :count].float().contiguous()
        along, _ = _projected(sample_nF - centre, axes)
        return cls(centre, axes, (along.abs().amax(0) * 1.2 / 127).clamp(min=1e-12))

    def coded(self, features_nF: Tensor) -> tuple[Tensor, Tensor]:
        """Compresses features: codes, int8 (n, A), and residual norms, fp16 (n,)."""
        along, rest = _projected(features_nF - self.centre_F, self.axes_FA)
        return (along / self.step_A).round().clamp(-127, 127).to(torch.int8), rest.half()

    def gathered(self, coded: Sequence[tuple[Tensor, Tensor]]) -> Reduced:
        """Concatenates items that were compressed in parts."""
        codes, rests = zip(*coded, strict=True)
        return Reduced(self.centre_F, self.axes_FA, self.step_A, torch.cat(codes), torch.cat(rests))


def _projected(moved_nF: Tensor, axes_FA: Tensor) -> tuple[Tensor, Tensor]:
    along = moved_nF @ axes_FA
    rest = (moved_nF.square().sum(1) - along.square().sum(1)).clamp(min=0).sqrt()
    return along, rest


def tensors(kept: Reduced) -> dict[str, Tensor]:
    """The tensors of a Reduced by name, from which `restored` rebuilds it."""
    return {field.name: getattr(kept, field.name).contiguous() for field in fields(kept)}


def restored(found: dict[str, Tensor]) -> Reduced:
    """The inverse of `tensors`. Raises KeyError or ValueError if tensors are missing or their shapes disagree."""
    kept = Reduced(**{field.name: found[field.name] for field in fields(Reduced)})
    items, axes = kept.codes_RA.shape
    shapes = [tuple(t.shape) for t in (kept.axes_FA, kept.centre_F, kept.step_A, kept.rest_R)]
    if shapes != [(len(kept.centre_F), axes), (len(kept.centre_F),), (axes,), (items,)]:
        raise ValueError(f"features of inconsistent shapes {shapes}")
    return kept
