"""Convolutional networks: they keep their shapes, reach every parameter, see what they should, and can be rebuilt."""

import pytest
import torch

from septet.backbones.convolution import Generative, Judge, convolution
from septet.backbones.unet import UNet
from septet.contracts import Context, Places
from septet.part import build, describe
from septet.space import Refusal, Space

KINDS = {kind.__name__: kind for kind in (Generative, Judge, UNet)}
GRIDS = [(6,), (5, 4), (2, 4, 3)]


def fields(batch: int = 2, width: int = 32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    valid = torch.tensor([[True, True, True], [True, False, False]])
    return torch.randn(batch, 3, width), valid, torch.randn(batch, width)


def context() -> Context:
    return Context(*fields())


def awake(module):
    """The module with the zeros of its start made small numbers, so that every path carries something."""
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return module


def levels(batch: int, sites: int):
    return torch.rand(batch, 2) * torch.tensor([1.0, 0.0]), torch.randint(2, (batch, sites))


@pytest.mark.parametrize("shape", GRIDS)
def test_a_unet_keeps_the_grid_and_uses_every_parameter(shape: tuple[int, ...]):
    torch.manual_seed(0)
    unet, space = awake(UNet(shape, width=32, widths=(0.5, 1))), Space(shape, channels=1)
    x = torch.randn(2, space.sites, 32)
    y = unet(x, Places(space.coordinates()), context(), levels(2, space.sites))
    assert y.shape == x.shape
    y.square().mean().backward()
    assert not [n for n, p in unet.named_parameters() if p.grad is None or not p.grad.any()]


def test_a_unet_hears_levels_vector_tokens_and_aligned():
    torch.manual_seed(0)
    unet, space = awake(UNet.tiny()).eval(), Space((4, 4), channels=1)
    x, places, (tokens, valid, vector) = torch.randn(2, 16, 32), Places(space.coordinates()), fields()
    told = Context(tokens, valid, vector)
    level, which = levels(2, 16)

    def answer(context=told, levels=(level, which)):
        with torch.no_grad():
            return unet(x, places, context, levels)

    plain = answer()
    assert not torch.allclose(plain, answer(levels=(level.flip(0), which)))
    assert not torch.allclose(plain, answer(levels=(level, 1 - which)))
    assert not torch.allclose(plain, answer(Context(tokens, valid, -vector)))
    assert not torch.allclose(plain, answer(Context(-tokens, valid, vector)))
    assert not torch.allclose(plain, answer(Context(tokens, valid, vector, torch.ones(2, 16, 32))))
    hidden = tokens.clone()
    hidden[1, 1:] += 1  # padding
    assert torch.allclose(plain, answer(Context(hidden, valid, vector)), atol=1e-5)
    single = answer(levels=(level[:, :1], None))
    assert torch.allclose(single, answer(levels=(level, torch.zeros_like(which))), atol=1e-5)


def test_a_unet_refuses_what_it_cannot_do():
    unet, x, coordinates = UNet.tiny(), torch.randn(1, 16, 32), Space((4, 4), channels=1).coordinates()
    with pytest.raises(Refusal, match="sites"):
        unet(x[:, :9], Places(coordinates[:9]), Context())
    with pytest.raises(Refusal, match="Transformer"):
        unet(x, Places(coordinates, causal=True), Context())
    with pytest.raises(Refusal, match="attention"):
        UNet((4, 4), width=32, attention=False)(x, Places(coordinates), Context(tokens_BMD=torch.randn(1, 2, 32)))
    with pytest.raises(Refusal, match="multiple of 4"):
        UNet((4, 4), width=30)


@pytest.mark.parametrize("shape", GRIDS)
def test_a_generator_and_a_judge_meet_in_their_space(shape: tuple[int, ...]):
    torch.manual_seed(0)
    space = Space(shape, channels=2)
    generative = awake(Generative(space, noise_size=8, width=8, stages=1, vector_width=32))
    judge = awake(Judge(space, width=8, stages=1, vector_width=32))
    told = context()
    latents = generative(torch.randn(2, 8), told)
    assert space.holds(latents)
    scores = judge(latents, told)
    assert scores.shape == (2,)
    scores.sum().backward()
    for module in (generative, judge):
        assert not [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("shape", GRIDS)
def test_a_gradient_penalty_on_a_judge_is_the_derivative_of_its_gradient(shape: tuple[int, ...]):
    torch.manual_seed(0)
    space, told = Space(shape, channels=2), Context(vector_BD=fields()[2].double())
    judge = awake(Judge(space, width=8, stages=1, vector_width=32)).double()

    def penalty(latents: torch.Tensor) -> torch.Tensor:
        latents = latents.detach().requires_grad_()
        (slope,) = torch.autograd.grad(judge(latents, told).double().sum(), latents, create_graph=True)
        return slope.square().sum()

    x = torch.randn(2, space.sites, 2, dtype=torch.float64)
    penalty(x).backward()
    weight, step = judge.enter.weight, 1e-6  # small: the penalty jumps at the bends
    with torch.no_grad():
        direction = torch.randn_like(weight)
        weight += step * direction
    ahead = penalty(x).detach()
    with torch.no_grad():
        weight -= 2 * step * direction
    behind = penalty(x).detach()
    assert weight.grad is not None
    assert torch.allclose((ahead - behind) / (2 * step), (weight.grad * direction).sum(), rtol=1e-3)


@pytest.mark.parametrize("kind", [Generative, Judge])
def test_a_network_made_for_a_vector_asks_for_one(kind):
    part = kind.tiny()
    entering = torch.randn(2, 8) if kind is Generative else torch.randn(2, 16, 3)
    with pytest.raises(Refusal, match="context vector"):
        part(entering, Context())


@pytest.mark.parametrize("kind", [Generative, Judge])
def test_a_symbol_space_is_refused(kind):
    with pytest.raises(Refusal, match="symbols"):
        kind(Space((4, 4), symbols=8))


@pytest.mark.parametrize("kind", list(KINDS.values()))
def test_a_network_is_rebuilt_from_its_description_and_state(kind):
    torch.manual_seed(0)
    part, told = awake(kind.tiny()).eval(), context()
    again = build(describe(part), lambda name: KINDS[name.rpartition(".")[2]], lambda name: "").eval()
    again.load_state_dict(part.state_dict())
    if kind is UNet:
        x, places = torch.randn(2, 16, 32), Places(Space((4, 4), channels=1).coordinates())
        assert torch.equal(part(x, places, told), again(x, places, told))
    else:
        entering = torch.randn(2, 8) if kind is Generative else torch.randn(2, 16, 3)
        assert torch.equal(part(entering, told), again(entering, told))


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 2, 2), (4, 4, 1)])
def test_gradients_in_bf16_on_a_thin_grid_are_those_in_fp32(shape: tuple[int, ...]):
    """The processor's own kernel for these reads memory that was never written, now and then."""
    for seed in range(20):
        torch.manual_seed(seed)
        layer, x = convolution(3, 4, 16), torch.randn(8, *shape, 4).movedim(-1, 1)
        chance = torch.randn(8, 16, *shape)
        plain = torch.autograd.grad((layer(x) * chance).sum(), layer.weight)[0]
        with torch.autocast("cpu", torch.bfloat16):
            rounded = layer(x)
        found = torch.autograd.grad((rounded * chance).sum(), layer.weight)[0]
        assert (found - plain).abs().max() < 0.05 * plain.abs().max()
