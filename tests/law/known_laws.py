"""Toys whose law is known exactly, and how far a model's draws are from it.

Shapes: B batch, N sites, S all sequences of the toy.
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from septet.contracts import Context, Process
from septet.fitting.optimisers import Muon, hidden_matrices

NOTHING = Context()


class Chain:
    """A Markov chain of three symbols over six sites; `law_S` is the chance of each of the 729 sequences."""

    SYMBOLS, SITES = 3, 6
    FIRST = torch.tensor([0.5, 0.3, 0.2])
    NEXT = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1]])

    def __init__(self):
        self.sequences_SN = torch.tensor(list(itertools.product(range(self.SYMBOLS), repeat=self.SITES)))
        before, after = self.sequences_SN[:, :-1], self.sequences_SN[:, 1:]
        self.law_S = self.FIRST[self.sequences_SN[:, 0]] * self.NEXT[before, after].prod(1)

    def data(self, batch: int) -> Tensor:
        return self.sequences_SN[torch.multinomial(self.law_S, batch, replacement=True)]

    def given(self, values_N: Tensor, where_N: Tensor) -> Tensor:
        """The law of whole sequences given those symbols."""
        fits = (self.sequences_SN[:, where_N] == values_N[where_N]).all(1)
        return fits * self.law_S / (fits * self.law_S).sum()

    def entropy(self) -> float:
        """Nats a symbol."""
        return -float((self.law_S * self.law_S.log()).sum()) / self.SITES

    def distance(self, drawn_BN: Tensor, law_S: Tensor) -> float:
        """Total variation between draws and a law."""
        number = (drawn_BN * self.SYMBOLS ** torch.arange(self.SITES).flip(0)).sum(1)
        shares = torch.bincount(number, minlength=len(law_S)) / len(drawn_BN)
        return float((shares - law_S).abs().sum() / 2)

    def floor(self, law_S: Tensor, draws: int) -> float:
        """The distance that as many draws from the law itself have, on average."""
        rounds = [self.sequences_SN[torch.multinomial(law_S, draws, replacement=True)] for _ in range(10)]
        return sum(self.distance(drawn, law_S) for drawn in rounds) / len(rounds)


class Modes:
    """Two unequal modes of two numbers. Their first coordinates overlap, so that the law given the first differs from
    the plain one: at 0 the first mode has 0.586 of the chance instead of 0.3."""

    SHARE = torch.tensor([0.3, 0.7])
    CENTRE = torch.tensor([[0.0, -1.0], [0.2, 1.0]])
    SPREAD = torch.tensor([0.1, 0.2])

    def data(self, batch: int) -> Tensor:
        mode = torch.multinomial(self.SHARE, batch, replacement=True)
        return (self.CENTRE[mode] + self.SPREAD[mode, None] * torch.randn(batch, 2))[..., None]

    def share_given(self, first: float) -> float:
        """The first mode's chance given the first coordinate."""
        heights = self.SHARE / self.SPREAD * (-(((first - self.CENTRE[:, 0]) / self.SPREAD) ** 2) / 2).exp()
        return float(heights[0] / heights.sum())

    def figures(self, latents_BNC: Tensor) -> dict[str, float]:
        """The first mode's share, both modes' spreads, and the share of draws within three spreads of a mode."""
        x = latents_BNC[..., 0]
        first = x[:, 1] < 0
        quantiles = torch.tensor([0.1587, 0.8413])  # one deviation to either side; those between the modes aside
        spreads = [
            x[w].quantile(quantiles, dim=0).diff(dim=0).mean() / 2 if w.any() else torch.inf for w in (first, ~first)
        ]
        distance = ((x[:, None] - self.CENTRE).norm(dim=2) / self.SPREAD).amin(1)
        return {
            "share": float(first.float().mean()),
            "spread of the first": float(spreads[0]),
            "spread of the second": float(spreads[1]),
            "on a mode": float((distance < 3).float().mean()),
        }


def train(process: Process, data: Callable[[int], Tensor], steps: int, batch: int, rate: float) -> None:
    """Muon for one player, Adam without momentum for two; a linear decay; the last half of the steps is averaged."""
    torch.manual_seed(0)
    optimisers = {player: _optimiser(process, player, rate) for player in process.players}
    averages = [p.detach().clone() for p in process.parameters()]
    process.train()
    for step in range(steps):
        for player, optimiser in optimisers.items():
            for group in optimiser.param_groups:
                group["scale"] = min(1.0, 1.5 * (1 - step / steps), (step + 1) / 20)
                group["lr"] = rate * group["scale"]
            optimiser.zero_grad()
            process.loss(data(batch), NOTHING, player, step / steps)[0].backward()
            optimiser.step()
        weight = 0.03 if step > steps / 2 else 1.0
        for average, p in zip(averages, process.parameters(), strict=True):
            average.lerp_(p.detach(), weight)
    with torch.no_grad():
        for average, p in zip(averages, process.parameters(), strict=True):
            p.copy_(average)
    process.eval().requires_grad_(False)


def _optimiser(process: Process, player: str, rate: float) -> torch.optim.Optimizer:
    parameters = process.parameters_of(player)
    if len(process.players) > 1:
        return torch.optim.Adam(parameters, betas=(0.0, 0.99))
    return Muon(parameters, hidden_matrices(process), rate, 0.5, 0.0)


def check(what: str, value: float, law: float, margin: float) -> None:
    """Prints a figure beside what the law says and the margin allowed, and holds it to that."""
    print(f"\n  {what}: {value:.4f}, law {law:.4f} +- {margin:.4f}", end="")
    assert abs(value - law) <= margin, f"{what}: {value:.4f}, but the law says {law:.4f} +- {margin:.4f}"


def check_distance(what: str, chain: Chain, drawn_BN: Tensor, law_S: Tensor, margin: float) -> None:
    """Prints the total variation beside the sampling floor, and holds it to the floor plus the margin."""
    value, floor = chain.distance(drawn_BN, law_S), chain.floor(law_S, len(drawn_BN))
    print(f"\n  {what}: total variation {value:.4f}, floor {floor:.4f}, margin {margin:.4f}", end="")
    assert value <= floor + margin, f"{what}: total variation {value:.4f}, floor {floor:.4f} + {margin:.4f}"
