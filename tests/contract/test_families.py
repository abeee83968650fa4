"""Sizes follow from the time there is and from how long a step takes, which these tests say instead of measuring it."""

from typing import Any

import pytest
from counting import Clock
from players import Line, Numbers

from septet.fitting import Settings, loop, sizes
from septet.fitting.sizes import Choice, Family, Size, Trial, choose
from septet.recipes import _families
from septet.space import Refusal

FAMILY = Family(
    [
        Size("s", 0, {"width": 64, "batch": 16, "average": 0.99}),
        Size("m", 1000, {"width": 128, "batch": 16, "average": 0.99}),
        Size("l", 4000, {"width": 256, "batch": 32, "average": 0.99}),
    ],
    fixed="m",
)
ASKED = {"width": 0, "batch": 0, "average": 0.0}


class Machine:
    """Takes `seconds` for a step of a network of width 64, and longer for wider ones."""

    def __init__(self, seconds: float, most: int = sizes.MOST):
        self.seconds, self.most, self.tried = seconds, most, []

    def choose(self, budget: float | None, network: str = "auto", **asked: Any) -> Choice:
        return choose(FAMILY, network, ASKED | asked, budget, self.trial, self.most, self.timed)

    def trial(self, options: dict[str, Any]) -> Trial:
        self.tried.append(options["width"])
        return Line(), Numbers(), Settings()

    def timed(self, trial: Trial) -> float:
        return self.seconds * self.tried[-1] / 64


def test_the_largest_size_with_room_for_its_steps_is_chosen():
    for budget, width in ((10, 64), (240, 128), (1800, 128), (2000, 256)):
        found = Machine(0.1).choose(budget)
        assert found.options["width"] == width, budget
        assert found.steps == int(budget * sizes.USABLE / (0.1 * width / 64))
        assert f"width {width}" in found.why and f"{found.steps:,} steps" in found.why
    assert Machine(0.01).choose(240).options["width"] == 256, "a faster machine affords a larger network"


def test_a_size_that_can_have_no_room_is_not_tried():
    slow, middling = Machine(1.0), Machine(0.1)
    slow.choose(60)
    middling.choose(240)
    assert slow.tried == [64] and middling.tried == [64, 128]


def test_the_smallest_is_taken_where_even_that_is_slow():
    assert Machine(100.0).choose(10).options["width"] == 64


def test_weights_are_averaged_over_a_share_of_the_steps():
    short, long = Machine(0.1).choose(20), Machine(0.1).choose(2000)
    assert short.options["average"] < long.options["average"] < 1
    assert Machine(0.1).choose(20, average=0.5).options["average"] == 0.5


def test_few_data_afford_a_larger_network_for_the_fewer_steps_that_help():
    found = Machine(0.1, most=100).choose(60)
    assert found.options["width"] == 256 and found.steps == 100
    assert Machine(0.1, most=100).choose(20).options["width"] == 64


def test_what_is_asked_for_is_not_chosen():
    machine = Machine(0.1)
    assert machine.choose(240, batch=4).options["batch"] == 4
    assert machine.choose(10, network="l").options["width"] == 256
    found = machine.choose(10, width=100)
    assert found.options["width"] == 100 and found.options["batch"] == 16
    machine.tried.clear()
    assert machine.choose(10, width=100, batch=8, average=0.9) == Choice({"width": 100, "batch": 8, "average": 0.9})
    assert not machine.tried


def test_without_a_budget_nothing_is_measured():
    machine = Machine(0.1)
    assert machine.choose(None) == Choice({"width": 128, "batch": 16, "average": 0.99})
    assert machine.choose(None, network="s", batch=3) == Choice({"width": 64, "batch": 3, "average": 0.99})
    assert not machine.tried


def test_a_size_that_is_not_there_is_refused():
    with pytest.raises(Refusal, match="network='huge': expected auto or one of s, m, l"):
        Machine(0.1).choose(None, network="huge")


def test_a_step_is_timed_after_the_first(monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch)
    clock.takes(loop._Loop, "advance", 0.25)
    clock.takes(loop._Loop, "__init__", 5.0)
    assert sizes.seconds_a_step((Line(), Numbers(), Settings(optimiser="adamw"))) == pytest.approx(0.25)


FAMILIES = {name: value for name, value in vars(_families).items() if isinstance(value, Family)}


@pytest.mark.parametrize("family", [*FAMILIES.values(), _families.pictures(40)], ids=[*FAMILIES, "pictures"])
def test_a_family_grows(family: Family):
    assert family.named(family.fixed) in family.sizes
    assert len({tuple(size.options) for size in family.sizes}) == 1
    needed = [size.steps for size in family.sizes]
    assert needed[0] == 0 and needed == sorted(needed)
    costs = [size.options["width"] ** 2 * size.options["layers"] for size in family.sizes]
    assert costs == sorted(costs)


@pytest.mark.parametrize("side", [24, 28, 30, 32, 40, 64, 96])
def test_patches_part_a_picture_evenly(side: int):
    for size in _families.pictures(side).sizes:
        patch = size.options["patch"]
        assert side % patch == 0 and 4 <= side // patch <= 24
