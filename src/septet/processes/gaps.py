"""Gaps in sequences: the order in which a causal backbone reads the known parts, and the sequence once a gap is filled.

Shapes: B batch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..space import PADDING, Space


def arrange(prefix: Tensor, suffix: Tensor, middle: Tensor, mark: dict[str, int], suffix_first: bool) -> Tensor:
    """Fill-in-the-middle order: prefix P suffix S middle M end, or prefix suffix S middle P M end (the joint form of
    Bavarian et al. 2022, which keeps the prefix next to the middle)."""

    def one(name: str) -> Tensor:
        return prefix.new_tensor([mark[name]])

    if suffix_first:
        return torch.cat([one("prefix"), one("suffix"), suffix, one("middle"), prefix, middle, one("end")])
    return torch.cat([one("prefix"), prefix, one("suffix"), suffix, one("middle"), middle, one("end")])


def closed(spans: tuple[Tensor, ...], drawn: Tensor, space: Space) -> tuple[Tensor, ...]:
    """The known spans once the sampled symbols fill the first gap, or continue the only span."""
    drawn = drawn[drawn != PADDING]
    if len(spans) == 1:
        return (torch.cat([spans[0], drawn]),)
    end = space.markers["end"]
    whole = torch.cat([spans[0], drawn[drawn != end], spans[1]])
    return (whole, *spans[2:]) if len(spans) > 2 else (torch.cat([whole, torch.tensor([end])]),)


def assembled(spans_B: Sequence[tuple[Tensor, ...]], drawn: Tensor, space: Space) -> Tensor:
    """(B, N) all known symbols, with the sampled ones in each row's first gap or after its only span."""
    rows = []
    for spans, row in zip(spans_B, drawn, strict=True):
        first, *after = closed(spans, row, space)
        rows.append(torch.cat([first, *after, *([torch.tensor([space.markers["end"]])] if after else [])]))
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PADDING)
