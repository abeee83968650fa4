"""Codecs of grids: any number of axes, a factor for each, and RGBA only where a codec is told so."""

from typing import Any

import pytest
import torch

from septet.codecs.convolutional import Pyramid
from septet.codecs.distances import Crispness
from septet.codecs.grids import joined, split
from septet.codecs.patches import Patches
from septet.codecs.quantised import Quantised
from septet.codecs.variational import Variational
from septet.part import build, describe
from septet.space import Refusal

KINDS = {kind.__name__: kind for kind in (Crispness, Patches, Quantised, Variational)}


def pictures(*shape: int) -> torch.Tensor:
    stream = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (8, *(shape or (8, 8, 4))), dtype=torch.uint8, generator=stream)


def reals(*shape: int) -> torch.Tensor:
    return torch.randn(8, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(12,), (4, 8), (4, 8, 4)])
def test_patches_are_split_and_joined_without_loss(shape: tuple[int, ...]):
    x = torch.randn(2, *shape, 3)
    patch = (2,) * len(shape)
    parts_of_x = split(x, patch)
    assert parts_of_x.shape == (2, 3 * 2 ** len(shape), *(n // 2 for n in shape))
    assert torch.equal(joined(parts_of_x, patch), x)
    corner = x[(0, *[slice(0, 2)] * len(shape))].flatten()
    assert torch.equal(parts_of_x[(0, slice(None), *[0] * len(shape))], corner)


@pytest.mark.parametrize(
    "patches, data",
    [
        (lambda: Patches((16,), 4, 2, values="reals"), reals(16, 2)),
        (lambda: Patches((4, 8, 8), (1, 4, 2), 3), pictures(4, 8, 8, 3)),
        (lambda: Patches((8, 4), (2, 4)), pictures(8, 4, 4)),
        (lambda: Patches((4, 2, 2, 6), (4, 1, 2, 3), 1, values="reals"), reals(4, 2, 2, 6, 1)),
    ],
    ids=["sound", "clips", "four channels", "four axes"],
)
def test_patches_of_any_grid_come_back_to_the_bit(patches, data):
    codec = patches()
    latents = codec.encode(data)
    assert codec.space.holds(latents) and torch.equal(codec.decode(latents), data)


@pytest.mark.parametrize("make", [Patches, Quantised, Variational], ids=lambda kind: kind.__name__)
def test_four_channels_are_rgba_only_where_a_codec_is_told_so(make):
    """What a pixel of alpha 0 holds counts for nothing in RGBA, and counts in any other four channels."""
    options: dict[str, Any] = {"size": 8} if make is Patches else {"shape": (8, 8), "width": 8}
    data = pictures()
    data[..., 3] = 0
    other = torch.cat([255 - data[..., :3], data[..., 3:]], -1)
    with torch.no_grad():
        for alpha in (True, False):
            torch.manual_seed(0)
            codec = make(**options, alpha=alpha)
            if isinstance(codec, Quantised):
                assert isinstance(codec.distance, Crispness) and codec.distance.alpha == alpha
            same = torch.equal(codec.encode(data), codec.encode(other))
            assert same == alpha
            assert not alpha or not codec.decode(codec.encode(data))[..., :3].any() or make is not Patches


def test_the_order_of_four_channels_matters_to_a_distance_only_where_they_are_rgba():
    drawn, data = reals(8, 8, 4), reals(8, 8, 4).flip(0)
    for alpha in (True, False):
        distance = Crispness(alpha=alpha)
        same = torch.allclose(distance(drawn, data), distance(drawn.flip(-1), data.flip(-1)))
        assert same == (not alpha)


@pytest.mark.parametrize(
    "kind, options",
    [
        (Patches, {"size": 8}),
        (Patches, {"size": 8, "channels": 3}),
        (Quantised, {"shape": (8, 8), "width": 8}),
        (Variational, {"shape": (8, 8), "channels": 3, "width": 8, "distance": Crispness()}),
        (Variational, {"shape": (8, 8), "width": 8, "distance": Crispness(alpha=True)}),
        (Variational, {"shape": (8, 8), "width": 8, "values": "reals"}),
    ],
)
def test_a_codec_saved_before_it_was_told_about_rgba_takes_four_channels_of_bytes_for_it(kind, options):
    four = options.get("channels", 4) == 4
    alpha = four and options.get("values") != "reals"

    def aged(tree):
        """As it was written then."""
        if not isinstance(tree, dict):
            return tree
        tree = {name: aged(inner) for name, inner in tree.items() if name != "alpha"}
        return tree | {"version": 1} if "version" in tree else tree

    torch.manual_seed(0)
    today = kind(**options, alpha=alpha)
    torch.manual_seed(0)
    again = build(aged(describe(today)), lambda name: KINDS[name.rpartition(".")[2]], lambda name: "")
    assert describe(again) == describe(today)
    data = reals(8, 8, 4) if options.get("values") == "reals" else pictures()
    with torch.no_grad():
        latents = today.encode(data)
        assert torch.equal(again.encode(data), latents) and torch.equal(again.decode(latents), today.decode(latents))


def test_axes_are_halved_as_often_as_each_asks():
    pyramid = Pyramid((2, 16, 32), 3, 8, 1, down=(1, 4, 16), stem=(1, 2, 2))
    assert pyramid.coarse == (2, 4, 2) and pyramid.widths == [8, 16, 32, 64]
    assert pyramid.strides == [(1, 1, 2), (1, 1, 2), (1, 2, 2)]
    assert Pyramid((8, 8), 3, 8, 1, 4, 2) == Pyramid((8, 8), 3, 8, 1, 4, 2)
    assert Pyramid((8, 8), 3, 8, 1, 4, 1).strides == Pyramid((8, 8), 3, 8, 1, (4, 4), (1, 1)).strides == [(2, 2)] * 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: Variational((8, 8), down=(4, 2, 2)),
        lambda: Variational((8, 8), down=(1, 4)),
        lambda: Variational((8, 6), down=(4, 4)),
        lambda: Variational((8, 8), channels=3, alpha=True),
        lambda: Quantised((8, 8), alpha=True, values="reals"),
        lambda: Patches((8, 8), (4, 3)),
        lambda: Patches(8, 0),
        lambda: Patches(8, 4, 3, alpha=True),
        lambda: Patches(8, 4, values="words"),
        lambda: Patches((8,), 4, 2, values="reals").encode(reals(12, 2)),
    ],
)
def test_what_cannot_be_done_is_refused(make):
    with pytest.raises(Refusal):
        make()
