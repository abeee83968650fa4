"""Two processes learn together as one would."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from players import PLAIN, Duel, Numbers
from torch import Tensor, nn

from septet.fitting import fit
from septet.fitting.optimisers import Muon
from septet.fitting.pace import Pace


def _rank(rank: int, folder: str) -> None:
    """One of two processes; keeps the gradients of each player's turns and the final weights."""
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(minutes=10))
    duel, gradients = Duel(), []
    plain_step = Muon.step

    def watched(self, closure=None) -> None:
        gradients.append([p.grad.clone() for g in self.param_groups for p in g["params"] if p.grad is not None])
        plain_step(self)

    Muon.step = watched

    def engine(module: nn.Module) -> nn.Module:
        return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)

    list(fit(duel, Numbers(8, rank=rank, ranks=2), PLAIN, Pace(steps=4), engine=engine))
    torch.save({"gradients": gradients, "weights": duel.state_dict()}, f"{folder}/rank-{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def _alone() -> Iterator[list[Tensor]]:
    """The gradients of one process with the whole batch, turn by turn."""
    duel, batches = Duel(), Numbers(8)
    optimisers = {p: Muon(duel.parameters_of(p), set(), 0.05, 1.0, 0.0, betas=PLAIN.betas) for p in duel.players}
    for step, player in itertools.product(range(4), duel.players):
        duel.zero_grad(set_to_none=True)
        total, _ = duel(batches.at(step), player, step / 4)
        own = [p for group in optimisers[player].param_groups for p in group["params"]]
        grown = torch.autograd.grad(total, own, allow_unused=True)
        for p, gradient in zip(own, grown, strict=True):
            p.grad = gradient
        yield [g for g in grown if g is not None]
        optimisers[player].step()
        duel.zero_grad(set_to_none=True)


def test_two_ranks_learn_as_one_process(tmp_path: Path):
    torch.multiprocessing.start_processes(_rank, (str(tmp_path),), nprocs=2, start_method="spawn")
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in range(2))
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
    expected = list(_alone())
    assert len(expected) == len(first["gradients"]) == 8
    for turn, (here, there, whole) in enumerate(zip(first["gradients"], second["gradients"], expected, strict=True)):
        assert len(here) == len(there) == len(whole), f"turn {turn}"
        for a, b, c in zip(here, there, whole, strict=True):
            assert torch.equal(a, b)
            torch.testing.assert_close(a, c, rtol=1e-4, atol=1e-6)
