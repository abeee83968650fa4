"""Solvers have the order that they claim, and guidance moves a law to where algebra says.

Shapes: B batch, N sites, C channels, D width, K modes.
"""

import math

import pytest
import torch
from known_laws import check

from septet.backbones.transformer import Transformer
from septet.contracts import Backbone, Context
from septet.processes.autoregressive import Autoregressive
from septet.processes.flow import Flow
from septet.processes.guidance import Guidance
from septet.processes.masked import Masked
from septet.space import Space

LINE = Space((1,), channels=1)


class Exact(Flow):
    """A flow whose network is the exact mean of the data given x_t, for Gaussians of these shares, centres and spreads
    moved by the context vector."""

    SHARES, CENTRES, SPREADS = torch.tensor([[0.4], [0.6]]), torch.tensor([[-1.0], [0.8]]), torch.tensor([[0.3], [0.5]])

    def answer(self, x_BNC, level_B, where_BN, context):
        x, t = x_BNC[:, 0, 0].double(), level_B.double()
        centres = self.CENTRES.double() + (0 if context.vector_BD is None else context.vector_BD.double()[:, 0])
        variances = ((1 - t) * self.SPREADS) ** 2 + t**2
        away = x - (1 - t) * centres
        share = (self.SHARES.log() - variances.log() / 2 - away**2 / variances / 2).softmax(0)
        mean = centres + (1 - t) * self.SPREADS**2 / variances * away
        return (share * mean).sum(0)[:, None, None]

    def exact(self, noise_B: torch.Tensor) -> torch.Tensor:
        """Where the flow carries noise: on a line it keeps the order, so quantile goes to quantile."""
        low, high = torch.full_like(noise_B, -9.0), torch.full_like(noise_B, 9.0)
        for _ in range(60):
            middle = (low + high) / 2
            height = (self.SHARES * torch.special.ndtr((middle - self.CENTRES) / self.SPREADS)).sum(0)
            below = height < torch.special.ndtr(noise_B)
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return low


class Single(Exact):
    SHARES, CENTRES, SPREADS = torch.tensor([[1.0]]), torch.tensor([[0.0]]), torch.tensor([[0.4]])


def exact_flow(kind: type[Exact]) -> Exact:
    return kind(LINE, Transformer(width=8, layers=1, heads=1, modulated=True))


@pytest.mark.parametrize("solver, order", [("euler", 1.0), ("heun", 2.0)])
def test_order(solver: str, order: float):
    process = exact_flow(Exact)
    noise = torch.linspace(-2.5, 2.5, 201, dtype=torch.float64)
    errors = []
    for steps in (32, 64, 128):
        drawn = process.sample(noise[:, None, None], Context(), steps=steps, solver=solver)[:, 0, 0]
        errors.append(float((drawn - process.exact(noise)).abs().mean()))
    print(f"\n  {solver}: mean errors {', '.join(f'{e:.6f}' for e in errors)} at 32, 64, 128 steps", end="")
    check(f"{solver}, order from 32 to 64 steps", math.log2(errors[0] / errors[1]), order, 0.25)
    check(f"{solver}, order from 64 to 128 steps", math.log2(errors[1] / errors[2]), order, 0.25)
    assert errors[2] < (0.01 if solver == "euler" else 0.001)


@pytest.mark.parametrize(
    "weight, interval, mean", [(1.0, (0.0, 1.0), 1.0), (3.0, (0.0, 1.0), 3.0), (3.0, (2.0, 3.0), 1.0)]
)
def test_guided_flow(weight: float, interval: tuple[float, float], mean: float):
    """Data told to lie around 1, untold around 0, with equal spreads: guidance of weight w draws around w."""
    process, count = exact_flow(Single), 4000
    told, untold = Context(vector_BD=torch.ones(count, 1)), Context(vector_BD=torch.zeros(count, 1))
    guidance = Guidance(weight, untold, interval)
    drawn = process.sample(process.noise(range(count)).double(), told, guidance=guidance, steps=24)
    check(f"flow at guidance {weight:g} within {interval}, mean", float(drawn.mean()), mean, 0.03)
    check(f"flow at guidance {weight:g} within {interval}, deviation", float(drawn.std()), 0.4, 0.03)


class Recording(Flow):
    """Keeps what its network is asked, at which level, and guesses zero."""

    def answer(self, x_BNC, level_B, where_BN, context):
        self.__dict__.setdefault("asked", []).append((x_BNC, level_B))
        return x_BNC * 0


def test_training_sees_the_noise_that_draws_begin_from():
    torch.manual_seed(0)
    process = Recording(LINE, Transformer(width=8, layers=1, heads=1, modulated=True), deviation=3.0)
    process.loss(torch.zeros(20_000, 1, 1), Context(), "model", 0.0)
    process.sample(process.noise(range(4000)), Context(), steps=1)
    (trained, level), (drawn, _) = process.__dict__["asked"]
    check("flow, deviation of noise in training", float((trained[:, 0, 0] / level).std()), 3.0, 0.1)
    check("flow, deviation of noise in a draw", float(drawn.std()), 3.0, 0.1)


class Echo(Backbone):
    """Gives the context vector at every site."""

    width = 3

    def forward(self, x_BND, places, context, levels=None, cache=None):
        assert context.vector_BD is not None
        return x_BND * 0 + context.vector_BD[:, None]


@pytest.mark.parametrize("kind", [Autoregressive, Masked])
def test_guided_symbols(kind: type[Autoregressive] | type[Masked]):
    """The chance of a symbol goes as told^w * untold^(1 - w)."""
    process, count, weight = kind(Space((1,), symbols=3), Echo(), softcap=None), 20_000, 2.0
    with torch.no_grad():
        process.head.weight.copy_(torch.eye(3))
    told, untold = torch.tensor([0.2, 0.3, 0.5]).log(), torch.tensor([0.5, 0.3, 0.2]).log()
    settings = {} if kind is Autoregressive else {"steps": 1, "order": "random"}
    guidance = Guidance(weight, Context(vector_BD=untold.expand(count, 3)))
    noise, context = process.noise(range(count)), Context(vector_BD=told.expand(count, 3))
    drawn = process.sample(noise, context, guidance=guidance, **settings)
    law = (weight * told + (1 - weight) * untold).softmax(0)
    for symbol in range(3):
        share = float((drawn == symbol).float().mean())
        check(f"{kind.__name__} at guidance 2, share of symbol {symbol}", share, float(law[symbol]), 0.015)
