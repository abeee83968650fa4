"""Learned codecs: what they encode lies in their Space, they learn, and they can be rebuilt from their description.

Over 250 lines because both codecs are tested by the same cases.
"""

import math

import pytest
import torch

from septet.codecs.distances import Crispness, Squares
from septet.codecs.quantised import Quantised
from septet.codecs.variational import Variational, bound
from septet.part import build, describe
from septet.space import Refusal

KINDS = {kind.__name__: kind for kind in (Crispness, Quantised, Squares, Variational)}


def reals(shape: tuple[int, ...], channels: int, count: int = 8) -> torch.Tensor:
    """Smooth waves, one a datum."""
    axes = torch.meshgrid(*(torch.linspace(0, 3, n) for n in shape), indexing="ij")
    phase = torch.arange(count).view(-1, *[1] * len(shape), 1)
    return torch.sin(torch.stack(axes).sum(0)[None, ..., None] + phase + torch.arange(channels) * 0.3)


def pictures(size: int = 8, count: int = 8) -> torch.Tensor:
    return ((reals((size, size), 4, count) + 1) * 127).to(torch.uint8)


def clips(frames: int = 3) -> torch.Tensor:
    return ((reals((frames, 8, 8), 3) + 1) * 127).to(torch.uint8)


CODECS = {
    "variational pictures": lambda: (Variational.tiny(), pictures()),
    "variational 1 axis": lambda: (Variational((16,), 2, 3, width=8, values="reals"), reals((16,), 2)),
    "variational 3 axes": lambda: (Variational((4, 8, 8), 1, 3, width=8, values="reals"), reals((4, 8, 8), 1)),
    "variational vector": lambda: (Variational((8, 8), 4, 6, width=8, vector=True, hidden=16), pictures()),
    "variational bernoulli": lambda: (
        Variational((8, 8), 4, 6, width=8, vector=True, hidden=16, likelihood="bernoulli"),
        pictures(),
    ),
    "quantised pictures": lambda: (Quantised.tiny(), pictures()),
    "quantised 1 axis": lambda: (Quantised((16,), 2, (8, 5), width=8, values="reals"), reals((16,), 2)),
    "quantised 3 axes": lambda: (Quantised((4, 8, 8), 1, (5, 4), width=8, values="reals"), reals((4, 8, 8), 1)),
    "variational clips": lambda: (Variational((3, 8, 8), 3, 3, width=8, down=(1, 4, 4), stem=(1, 2, 1)), clips()),
    "quantised clips": lambda: (Quantised((4, 8, 8), 3, (5, 4), width=8, down=(2, 8, 4), stem=(1, 2, 2)), clips(4)),
    "quantised larger decoder": lambda: (
        Quantised((8, 8), levels=(4, 3), width=8, decoder_width=12, decoder_blocks=2, distance=Squares()),
        pictures(),
    ),
}


@pytest.fixture(params=CODECS, ids=list(CODECS))
def codec_and_data(request):
    torch.manual_seed(0)
    return CODECS[request.param]()


def train(codec, data, steps: int) -> list[float]:
    optimiser = torch.optim.Adam(codec.parameters_of("model"), lr=3e-3)
    losses = []
    for step in range(steps):
        loss, figures = codec({"data": data}, "model", step / steps)
        assert all(torch.isfinite(figure).all() for figure in figures.values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def test_latents_lie_in_the_space_and_come_back_as_data(codec_and_data):
    codec, data = codec_and_data
    with torch.no_grad():
        latents = codec.encode(data)
        back = codec.decode(latents)
    assert codec.space.holds(latents) and len(latents) == len(data)
    assert back.shape == data.shape and back.dtype == data.dtype


def test_the_loss_falls_and_reaches_every_parameter(codec_and_data):
    codec, data = codec_and_data
    losses = train(codec, data, 40)
    assert min(losses[-5:]) < 0.9 * losses[0] if losses[0] > 0 else losses[-1] < losses[0]
    loss, _ = codec({"data": data}, "model", 1.0)
    codec.zero_grad()
    loss.backward()
    idle = [n for n, p in codec.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


def test_a_codec_is_rebuilt_from_its_description_and_state(codec_and_data):
    codec, data = codec_and_data
    train(codec, data, 3)
    again = build(describe(codec), lambda name: KINDS[name.rpartition(".")[2]], lambda name: "")
    again.load_state_dict(codec.state_dict())
    codec.eval()
    again.eval()
    with torch.no_grad():
        assert torch.equal(codec.encode(data), again.encode(data))
        assert torch.equal(codec.decode(codec.encode(data)), again.decode(again.encode(data)))


@pytest.mark.parametrize("name", ["variational pictures", "quantised pictures"])
def test_training_brings_reconstructions_near_the_data(name: str):
    torch.manual_seed(0)
    codec, data = CODECS[name]()

    def error() -> float:
        with torch.no_grad():
            return float((codec.decode(codec.encode(data)).float() - data.float()).abs().mean())

    before = error()
    train(codec, data, 150)
    codec.eval()
    assert error() < 0.5 * before


@pytest.mark.parametrize("levels", [(8, 5, 5), (3,), (4, 4), (7, 6, 3)])
def test_every_symbol_is_its_own_round_trip(levels: tuple[int, ...]):
    codec = Quantised((8, 8), levels=levels, width=8)
    symbols = torch.arange(math.prod(levels))[:, None]
    assert torch.equal(codec._symbols(codec._levels(symbols)), symbols)
    extreme = torch.linspace(-9, 9, 2001)[:, None].expand(-1, len(levels))
    reached = (torch.tanh(extreme + codec.shift) * codec.reach - codec.offset).round().long()
    assert [len(reached[:, j].unique()) for j in range(len(levels))] == list(levels)
    assert codec.space.holds(codec._symbols(reached)[None, : codec.space.sites])


def test_arrays_in_a_list_are_data_and_surplus_channels_are_left_out():
    codec, data = Variational((8, 8), 3, 2, width=8), pictures()
    with torch.no_grad():
        assert torch.allclose(codec.encode(list(data.numpy())), codec.encode(data[..., :3]), atol=1e-5)


def test_calibrated_latents_have_unit_deviation():
    torch.manual_seed(0)
    codec, data = Variational((16,), 2, 3, width=8, values="reals"), reals((16,), 2, 64)
    train(codec, data, 60)
    codec.eval()
    with torch.no_grad():  # means far from zero and from unit deviation
        leave = codec.get_submodule("encoder.leave")
        for tensor in leave.parameters():
            tensor[:3] *= 5
        dict(leave.named_parameters())["bias"][:3] += 2
    codec.calibrate(data.split(16))
    mean, deviation = codec.encode_distribution(data)
    drawn = mean + deviation * torch.randn(200, *mean.shape)
    assert torch.allclose(drawn.flatten(0, 2).std(0), torch.ones(3), atol=0.03)
    with torch.no_grad():
        error = (codec.decode(mean + deviation * torch.randn(mean.shape)) - data).square().mean()
    assert 0.7 < float(error / codec.variance) < 1.4


def test_the_output_variance_follows_the_error_in_training():
    torch.manual_seed(0)
    codec, data = Variational((16,), 2, 3, width=8, values="reals"), reals((16,), 2, 64)
    train(codec, data, 150)
    codec.eval()
    with torch.no_grad():
        mean, deviation = codec.encode_distribution(data)
        error = (codec.decode(mean + deviation * torch.randn(mean.shape)) - data).square().mean()
    assert float(error) < 0.2 and 0.4 < float(error / codec.variance) < 1.5


def test_the_bound_equals_the_likelihood_of_a_linear_gaussian_model():
    """x = w z + noise has log p(x) in closed form; with its exact posterior one sample gives it exactly."""
    weight, variance = torch.tensor([1.5, -0.7]), 0.3
    codec = Variational((2,), 1, 1, width=8, down=1, stem=1, vector=True, values="reals").eval()
    precision = 1 + weight.square().sum() / variance
    x = torch.tensor([[0.4, 1.0], [-2.0, 0.1]])

    class Line(torch.nn.Module):
        def forward(self, latents_B11):
            return (latents_B11[:, 0] * weight)[..., None]

    class Exact(torch.nn.Module):
        def forward(self, x_B21):
            mean = (x_B21[..., 0] @ weight) / variance / precision
            return torch.stack([mean, -0.5 * torch.log(precision).expand_as(mean)], 1)[..., None]

    codec.decoder, codec.encoder = Line(), Exact()
    codec.variance.fill_(variance)
    law = torch.distributions.MultivariateNormal(torch.zeros(2), torch.outer(weight, weight) + variance * torch.eye(2))
    assert torch.allclose(bound(codec, x[..., None], samples=1), -law.log_prob(x), atol=1e-4)

    codec.encoder = _Prior()
    one, many = (bound(codec, x[..., None].repeat(50, 1, 1), samples=k).mean() for k in (1, 2000))
    assert one > many + 0.2
    assert abs(float(many + law.log_prob(x).mean())) < 0.02


class _Prior(torch.nn.Module):
    """A posterior that ignores the data: only more samples tighten its bound."""

    def forward(self, x_B21):
        return torch.zeros(len(x_B21), 2, 1)


def test_free_nats_cost_nothing():
    data = pictures()

    def slope(**options) -> torch.Tensor:
        torch.manual_seed(0)
        codec = Variational((8, 8), width=8, latent_channels=3, **options)
        codec({"data": data}, "model", 1.0)[0].backward()
        grad = dict(codec.named_parameters())["encoder.leave.weight"].grad
        assert grad is not None
        return grad

    assert torch.allclose(slope(free_nats=1e6), slope(kl_weight=0.0))
    assert not torch.allclose(slope(), slope(kl_weight=0.0), rtol=0.1)


def test_alpha_counts_over_black_and_over_white():
    distance, data = Crispness(edges=0.0, alpha=True), torch.full((1, 2, 2, 4), -1.0)
    white, grown = -data, data.clone()
    grown[..., 3] = 1.0  # transparent becomes opaque black: seen over white only
    assert float(distance(data, data)) == 0
    assert float(distance(grown, data)) > 0.4 * float(distance(white, data)) > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Variational((9, 8)),
        lambda: Variational((8, 8), down=6),
        lambda: Variational((8, 8, 8, 8)),
        lambda: Variational((8, 8), values="words"),
        lambda: Variational((8, 8), likelihood="cauchy"),
        lambda: Variational((8, 8), likelihood="bernoulli", distance=Squares()),
        lambda: Quantised((8, 8), levels=(2, 5)),
        lambda: Quantised((8, 8), levels=()),
        lambda: Quantised.tiny().encode(torch.zeros(1, 8, 8, 4)),
        lambda: Quantised.tiny().encode(pictures()[:, :4]),
        lambda: Quantised.tiny().encode(pictures()[..., :3]),
        lambda: Quantised.tiny().decode(torch.full((1, 4), 99)),
        lambda: Variational.tiny().calibrate([]),
        lambda: bound(Variational((8, 8), width=8, distance=Crispness()), pictures()),
        lambda: bound(Variational((8, 8), width=8, likelihood="bernoulli"), pictures()),
    ],
)
def test_what_cannot_be_done_is_refused(make):
    with pytest.raises(Refusal):
        make()
