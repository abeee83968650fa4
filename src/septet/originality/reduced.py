"""Features of many items kept small: their principal axes, a byte each.

Shapes: Q queries, R items, F features, A axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

from ..space import Refusal

MOST_AXES = 256
VARIANCE = 0.999  # that the axes hold; how far an item lies off them is kept as one number
SAMPLE = 4096  # items that the axes are measured on


@dataclass(frozen=True)
class Reduced:
    """`codes_RA` are int8 steps of `step_A` along `axes_FA` from `centre_F`; `rest_R` the length of what is left."""

    centre_F: Tensor
    axes_FA: Tensor
    step_A: Tensor
    codes_RA: Tensor
    rest_R: Tensor

    def __len__(self) -> int:
        return len(self.codes_RA)

    def distances(self, query_QF: Tensor) -> Tensor:
        """(Q, R): of what lies off the axes only the lengths are compared."""
        return torch.cdist(self.coordinates(query_QF), self._points_RA)

    def coordinates(self, features_nF: Tensor) -> Tensor:
        """(n, A + 1): along the axes, and off them. Features of another length than those that were kept are a
        Refusal."""
        if features_nF.shape[1:] != self.centre_F.shape:
            found, kept = features_nF.shape[1], len(self.centre_F)
            raise Refusal(
                f"features of {found} numbers, and {kept} were kept by another version of the modality; train the "
                "model again"
            )
        along, rest = _projected(features_nF - self.centre_F, self.axes_FA)
        return torch.cat([along, rest[:, None]], 1)

    @cached_property
    def _points_RA(self) -> Tensor:
        return torch.cat([self.codes_RA.float() * self.step_A, self.rest_R.float()[:, None]], 1)


@dataclass(frozen=True)
class Axes:
    """What the features of a set are reduced to, as in Reduced."""

    centre_F: Tensor
    axes_FA: Tensor
    step_A: Tensor

    @classmethod
    def of(cls, sample_nF: Tensor, bytes_an_item: int = MOST_AXES) -> "Axes":
        """Those of a sample of the set."""
        centre = sample_nF.mean(0)
        values, vectors = torch.linalg.eigh((sample_nF - centre).T.double() @ (sample_nF - centre).double())
        share = values.flip(0).clamp(min=0).cumsum(0) / values.clamp(min=0).sum().clamp(min=1e-30)
        count = min(int((share < VARIANCE).sum()) + 1, MOST_AXES, max(1, bytes_an_item), sample_nF.shape[1])
        axes = vectors.flip(1)[:, :count].float().contiguous()
        along, _ = _projected(sample_nF - centre, axes)
        return cls(centre, axes, (along.abs().amax(0) * 1.2 / 127).clamp(min=1e-12))

    def coded(self, features_nF: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and rests of some items."""
        along, rest = _projected(features_nF - self.centre_F, self.axes_FA)
        return (along / self.step_A).round().clamp(-127, 127).to(torch.int8), rest.half()

    def gathered(self, coded: Sequence[tuple[Tensor, Tensor]]) -> Reduced:
        """All items, coded in parts."""
        codes, rests = zip(*coded, strict=True)
        return Reduced(self.centre_F, self.axes_FA, self.step_A, torch.cat(codes), torch.cat(rests))


def _projected(moved_nF: Tensor, axes_FA: Tensor) -> tuple[Tensor, Tensor]:
    along = moved_nF @ axes_FA
    rest = (moved_nF.square().sum(1) - along.square().sum(1)).clamp(min=0).sqrt()
    return along, rest


def tensors(kept: Reduced) -> dict[str, Tensor]:
    """By name, as `restored` takes them."""
    return {field.name: getattr(kept, field.name).contiguous() for field in fields(kept)}


def restored(found: dict[str, Tensor]) -> Reduced:
    """What `tensors` gave; a KeyError or ValueError where that cannot be."""
    kept = Reduced(**{field.name: found[field.name] for field in fields(Reduced)})
    items, axes = kept.codes_RA.shape
    shapes = [tuple(t.shape) for t in (kept.axes_FA, kept.centre_F, kept.step_A, kept.rest_R)]
    if shapes != [(len(kept.centre_F), axes), (len(kept.centre_F),), (axes,), (items,)]:
        raise ValueError(f"features of shapes {shapes} do not belong together")
    return kept
