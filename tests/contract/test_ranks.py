"""Two ranks learn as one process does that takes two batches a step, to the same bits; and end together."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import torch
import torch.distributed as dist
from players import PLAIN, Duel, Line, Numbers
from torch import Tensor, nn

from septet import ranks
from septet.contracts import Learner
from septet.fitting import Settings, fit
from septet.fitting.pace import Pace
from septet.space import Refusal


class Moody(Line):
    """A line with a parameter that only some batches use, and a buffer that training alone writes to."""

    mood: Tensor

    def __init__(self):
        super().__init__(noisy=True)
        self.seldom, self.drawn = nn.Parameter(torch.ones(3)), []
        self.register_buffer("mood", torch.zeros(3))

    def forward(self, batch: dict[str, Tensor], player: str, progress: float):
        total, figures = super().forward(batch, player, progress)
        if self.training:
            self.drawn.append(float(torch.rand(())))
            self.mood.lerp_(batch["x"].mean(0), 0.1)
        if bool(batch["x"].sum() > 12):
            total = total + (self.seldom * batch["x"]).square().mean()
        return total, figures


class Poisoned(Line):
    """A line whose loss is no number on one batch of step 3, which the second rank takes."""

    def forward(self, batch: dict[str, Tensor], player: str, progress: float):
        total, figures = super().forward(batch, player, progress)
        return total * (float("nan") if torch.equal(batch["x"], Numbers(4).at(7)["x"]) else 1.0), figures


LEARNERS: dict[str, Callable[[], Learner]] = {"line": lambda: Line(noisy=True), "duel": Duel, "moody": Moody}
SETTINGS = replace(PLAIN, clip=1.0)


def learned(learner: Learner, settings: Settings) -> dict[str, Any]:
    """The weights after 12 steps, and what was told of each."""
    told = [(step.losses, step.validation) for step in fit(learner, Numbers(4), settings, Pace(steps=12))]
    return {"weights": learner.state_dict(), "told": told}


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(minutes=10))
    learners = {name: make() for name, make in LEARNERS.items()}
    found: dict[str, Any] = {name: learned(learner, SETTINGS) for name, learner in learners.items()}
    found["drawn"] = learners["moody"].drawn
    different = Line()
    nn.init.constant_(different.layer.weight, float(rank))  # as if they had not begun alike
    found["different"] = learned(different, SETTINGS)
    for name, learner, settings in (
        ("poisoned", Poisoned(), SETTINGS),
        ("many", Line(), replace(SETTINGS, accumulate=17)),
    ):
        try:
            learned(learner, settings)
        except Refusal as refusal:
            found[name] = str(refusal)
    pace = Pace(seconds=2.0, before=1.0 - rank, reserve_seconds=0.0)  # as if the second had begun a second later
    found["steps"] = len(list(fit(Line(noisy=True), Numbers(4), SETTINGS, pace)))
    found["agreed"] = [ranks.agreed(rank + 0.5), ranks.same(str(rank)), ranks.same("both")]
    torch.save(found, f"{folder}/rank-{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict[str, Any]]:
    """What each of two ranks found."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.start_processes(_rank, (str(folder),), nprocs=2, start_method="spawn")
    return [torch.load(folder / f"rank-{rank}.pt") for rank in range(2)]


def alike(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name


@pytest.mark.parametrize("name", ["line", "duel"])
def test_two_ranks_learn_as_one_process_with_two_batches_a_step(name: str, found: list[dict[str, Any]]):
    alone = learned(LEARNERS[name](), replace(SETTINGS, accumulate=2))
    for rank in found:
        alike(alone["weights"], rank[name]["weights"])
        for (losses, validation), (expected, also) in zip(rank[name]["told"], alone["told"], strict=True):
            assert losses == pytest.approx(expected) and validation == pytest.approx(also)


@pytest.mark.parametrize("name", [*LEARNERS, "different"])
def test_the_ranks_hold_the_same_weights(name: str, found: list[dict[str, Any]]):
    """Also where they began with others, or only one of them used a parameter; what training writes is their mean."""
    alike(found[0][name]["weights"], found[1][name]["weights"])
    assert found[0][name]["told"] == found[1][name]["told"]


def test_each_rank_has_random_numbers_of_its_own(found: list[dict[str, Any]]):
    assert len({*found[0]["drawn"], *found[1]["drawn"]}) == 24


def test_a_loss_that_is_not_finite_on_one_rank_is_refused_by_both(found: list[dict[str, Any]]):
    assert found[0]["poisoned"] == found[1]["poisoned"]
    assert "step 3: the loss became nan; train again with a lower learning rate" in found[0]["poisoned"]


def test_more_batches_a_step_than_random_streams_are_refused(found: list[dict[str, Any]]):
    assert found[0]["many"] == "2 ranks are too many: expected at most 1"


def test_ranks_agree_on_what_the_first_finds(found: list[dict[str, Any]]):
    assert [rank["agreed"] for rank in found] == [[0.5, False, True]] * 2


def test_a_time_ends_all_ranks_after_the_same_step(found: list[dict[str, Any]]):
    assert found[0]["steps"] == found[1]["steps"] > 0
