"""The training loop on toys whose updates can be followed by hand."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch
from players import PLAIN, Duel, Line, Numbers, trained
from torch import Tensor, nn

from septet import devices
from septet.backbones.transformer import Transformer
from septet.contracts import Learner
from septet.fitting import Settings, fit
from septet.fitting import loop as training_loop
from septet.fitting.optimisers import Averages, Muon, hidden_matrices, scale_at
from septet.fitting.pace import Pace
from septet.fitting.validation import only_rises
from septet.space import Refusal


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


def test_players_take_turns_and_only_their_own_parameters_learn():
    duel = Duel()
    steps = trained(duel, PLAIN, 3)
    assert duel.seen == [("critic", True, False), ("maker", False, True)] * 3
    assert {"critic_loss", "maker_loss", "critic_gap"} <= set(steps[0].losses)
    assert all(p.grad is None and p.requires_grad for p in duel.parameters())
    assert steps[-1].best_step == 0 and steps[-1].validation is None


def test_a_turn_changes_only_its_own_player():
    duel = Duel()
    trained(duel, PLAIN, 3)
    for turn, ((player, *before), (_, *after)) in enumerate(itertools.pairwise(duel.weights)):
        changed = [not torch.equal(b, a) for b, a in zip(before, after, strict=True)]
        assert changed == [player == "critic", player == "maker"], f"turn {turn}"


def gradients(learner: Learner, settings: Settings, batches: Numbers, monkeypatch) -> Tensor:
    """What the optimiser is given at the first step; AdamW would hide its length."""
    seen: list[Tensor] = []

    def watch(self, closure=None) -> None:
        seen.append(torch.cat([p.grad.flatten() for group in self.param_groups for p in group["params"]]))

    monkeypatch.setattr(Muon, "step", watch)
    trained(learner, settings, 1, batches)
    return seen[0]


def test_accumulating_equals_a_larger_batch(monkeypatch):
    whole = gradients(Line(), PLAIN, Numbers(16), monkeypatch)
    parts = gradients(Line(), replace(PLAIN, accumulate=4), Numbers(4), monkeypatch)
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)


def test_validating_does_not_change_the_training():
    seen, blind = Line(noisy=True), Line(noisy=True)
    with_losses = [step.losses for step in trained(seen, PLAIN, 40)]
    without = [step.losses for step in trained(blind, PLAIN, 40, Numbers(held_out=False))]
    assert with_losses == without


def test_a_captured_state_goes_on_to_the_same_bits():
    settings = Settings(rate=0.05, optimiser="adamw", precision="fp32")
    whole, second = Line(noisy=True), Line(noisy=True)
    running = fit(whole, Numbers(), settings, Pace(steps=30))
    state = copy.deepcopy([next(running) for _ in range(13)][-1].capture())
    list(running)
    assert len(list(fit(second, Numbers(), settings, Pace(steps=30), state=state))) == 17
    assert torch.equal(whole.layer.weight, second.layer.weight)


def test_large_gradients_are_clipped(monkeypatch):
    free, clipped = (
        gradients(Line(), replace(PLAIN, clip=clip), Numbers(), monkeypatch).norm() for clip in (None, 0.01)
    )
    assert clipped == pytest.approx(0.01, rel=1e-3) and free > 0.1


def test_the_learner_ends_with_its_averages():
    learner = Line()
    path: list[Tensor] = []
    for step in fit(learner, Numbers(held_out=False), replace(PLAIN, average=0.9), Pace(steps=6)):
        path.append(learner.layer.weight.detach().clone())
        with step.averaged():
            inside = learner.layer.weight.detach().clone()
        assert torch.equal(learner.layer.weight, path[-1])
    average = Line().layer.weight.detach().clone()
    for count, weight in enumerate(path, start=1):
        decay = min(0.9, (1 + count) / (10 + count))
        average = decay * average + (1 - decay) * weight
    torch.testing.assert_close(learner.layer.weight.detach(), average)
    torch.testing.assert_close(inside, average)
    assert not learner.training


def test_swapped_averages_come_back_bit_for_bit():
    p = nn.Parameter(torch.randn(5))
    averages = Averages([p], 0.9)
    averages.update()
    before = p.detach().clone()
    averages.swap()
    averages.swap()
    assert torch.equal(p, before)


def test_muon_takes_the_matrices_of_backbones_and_adamw_the_rest():
    learner = nn.ModuleDict({"backbone": Transformer(32, 1, 2), "head": nn.Linear(32, 5)})
    matrices = hidden_matrices(learner)
    names = {name for name, p in learner.named_parameters() if p in matrices}
    assert names and all(name.startswith("backbone.") and name.endswith("weight") for name in names)
    assert not any("norm" in name for name in names)
    optimiser = Muon(learner.parameters(), matrices)
    grouped = [p for group in optimiser.param_groups for p in group["params"]]
    assert len(grouped) == len(set(grouped)) == len(list(learner.parameters()))
    assert {p for group in optimiser.param_groups if group["matrix"] for p in group["params"]} == matrices


def test_rates_follow_the_progress():
    rates = [scale_at(k / 100, 0.1, 0.5) for k in range(101)]
    assert rates[0] < 0.05 and rates[30] == 1 and rates[75] == pytest.approx(0.5) and rates[100] == 0


def test_a_loss_that_is_not_finite_is_refused():
    learner = Line()
    with torch.no_grad():
        learner.layer.weight.fill_(float("nan"))
    with pytest.raises(Refusal, match="the loss became nan"):
        trained(learner, PLAIN, 1)


def test_stages_in_a_row_leave_the_first_alone():
    """A codec, then what is drawn on it: the second fit never touches the first's weights."""

    class Second(Line):
        def __init__(self, first: Line):
            super().__init__()
            self.first = first.requires_grad_(False)

        def parameters_of(self, player: str) -> list[nn.Parameter]:
            return list(self.layer.parameters())

        def forward(self, batch: dict[str, Tensor], player: str, progress: float):
            with torch.no_grad():
                x = self.first.layer(batch["x"])
            return super().forward({"x": x}, player, progress)

    first = Line()
    before = copied(first)
    trained(first, PLAIN, 3)
    assert moved(before, first)
    second, before = Second(first), copied(first)
    trained(second, PLAIN, 3)
    assert not moved(before, first)


class Halved(Line):
    """A line whose loss, or gradient, is not a number in bf16, as on a processor whose arithmetic is wrong."""

    def __init__(self, part: str):
        super().__init__()
        self.part = part

    def forward(self, batch, player, progress):
        total, figures = super().forward(batch, player, progress)
        if torch.is_autocast_enabled("cpu"):
            total = total * float("nan") if self.part == "loss" else total + (self.layer.bias * 0).sqrt().sum()
        return total, figures


@pytest.mark.parametrize("part", ["loss", "gradient"])
def test_what_is_not_finite_in_bf16_alone_is_not_blamed_on_the_rate(part: str):
    with pytest.raises(Refusal, match=f"the {part} became nan, but is finite in fp32.*not the learning rate"):
        trained(Halved(part), replace(PLAIN, precision="bf16", clip=1.0), 1)


def test_what_is_not_finite_from_the_first_is_not_blamed_on_the_rate():
    learner = Line()
    with torch.no_grad():
        learner.layer.weight.fill_(float("inf"))
    with pytest.raises(Refusal, match="before any update, so the learning rate is not the cause"):
        trained(learner, PLAIN, 1)


def test_a_rate_that_is_too_high_is_named():
    with pytest.raises(Refusal, match=r"step \d+: the loss became (nan|inf); train again with a lower learning rate"):
        trained(Line(), replace(PLAIN, rate=1e25, clip=None), 20)


def test_training_goes_on_in_the_precision_that_it_began_in(monkeypatch):
    """Wherever a checkpoint is taken up, "auto" means what it meant at the start."""
    found = []
    for ratio, expected in ((0.3, "bf16"), (2.0, "fp32")):
        monkeypatch.setattr("septet.devices._product_ratio", lambda ratio=ratio: ratio)
        loop = training_loop._Loop(Line(), replace(PLAIN, precision="auto"), 0)
        assert loop.precision == expected
        found.append(loop.capture())
    loop.restore(found[0])
    assert loop.precision == "bf16"


def test_a_processor_is_asked_once_which_precision_it_takes_less_time_in():
    devices._product_ratio.cache_clear()
    threads = torch.get_num_threads()
    assert devices.precision_on(torch.device("cpu"), "auto") in ("bf16", "fp32")
    assert torch.get_num_threads() == threads and devices._product_ratio.cache_info().currsize == 1
    assert devices.precision_on(torch.device("cuda"), "auto") == "bf16"


class Overfitting(Line):
    """The validation loss is lowest at first, and rises with every step."""

    def validation(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": 1 + (self.layer.weight - Line().layer.weight).norm(), "weight": torch.tensor(1.0)}


EARLY = replace(PLAIN, early=True, average=0.0)


def test_a_training_that_only_overfits_ends_early():
    steps = trained(Overfitting(), EARLY, 200)
    assert len(steps) == 40 and steps[-1].progress == 1 and steps[-1].best_step == 10
    assert steps[-1].remarks == ("Ended early, after 40 steps: the validation loss has only risen since step 10.",)
    assert len(trained(Overfitting(), replace(EARLY, early=False), 200)) == 200
    assert len(trained(Line(), EARLY, 200)) == 200, "the loss of this one falls"


def test_a_training_that_goes_on_ends_early_at_the_same_step():
    running = fit(Overfitting(), Numbers(), EARLY, Pace(steps=200))
    state = copy.deepcopy([next(running) for _ in range(35)][-1].capture())
    assert [s.step for s in fit(Overfitting(), Numbers(), EARLY, Pace(steps=200), state=state)] == [36, 37, 38, 39, 40]


def test_a_loss_that_rose_a_little_or_late_may_fall_again():
    assert only_rises(3, 40, 10, 1.0, 1.06)
    assert not only_rises(2, 40, 10, 1.0, 1.06) and not only_rises(3, 40, 10, 1.0, 1.04)
    assert not only_rises(3, 40, 30, 1.0, 1.06) and not only_rises(3, 40, 0, 1.0, 1.06)
    assert only_rises(3, 40, 10, -1.0, -0.9) and not only_rises(3, 40, 10, -1.0, -1.1)
