"""Batches as a function of the step."""

import tracemalloc

import numpy as np
import pytest
import torch
from counting import lines_run

from septet.data.batches import Batches, Windows
from septet.space import PADDING, Refusal


def prompts(n: int) -> torch.Tensor:
    return torch.arange(n)[:, None]


def test_a_step_alone_gives_its_batch():
    latents = torch.randn(50, 3, 2)
    one, two = (Batches(latents, prompts(50), batch=8, seed=5) for _ in "ab")
    later = one.at(1234)
    for step in range(3):
        one.at(step)
    for batch in (later, one.at(1234), two.at(1234)):
        assert torch.equal(batch["latents"], latents[batch["prompt"][:, 0]]) and torch.equal(
            batch["prompt"], later["prompt"]
        )
    assert not torch.equal(Batches(latents, prompts(50), 8, seed=6).at(1234)["prompt"], later["prompt"])


def test_an_epoch_holds_every_item_once_and_the_next_has_another_order():
    batches = Batches(torch.randn(48, 2), prompts(48), batch=8)
    epochs = [torch.cat([batches.at(6 * e + i)["prompt"][:, 0] for i in range(6)]) for e in range(2)]
    assert all(epoch.sort().values.tolist() == list(range(48)) for epoch in epochs)
    assert not torch.equal(*epochs)


def test_every_item_gets_its_turn_where_batches_do_not_fit():
    batches = Batches(torch.randn(10, 2), prompts(10), batch=7)
    counts = np.bincount(torch.cat([batches.at(i)["prompt"][:, 0] for i in range(1000)]), minlength=10)
    assert counts.min() > 600 and counts.max() < 800
    assert Batches(torch.randn(3, 2), prompts(3), batch=8).at(0)["prompt"].unique().tolist() == [0, 1, 2]


def test_pictures_go_by_data_from_arrays_and_tensors():
    pictures = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 4), dtype=np.uint8)
    pictures.flags.writeable = False
    first, second = (
        Batches(items, prompts(20), 4).at(3)["data"] for items in (pictures, torch.from_numpy(pictures.copy()))
    )
    assert first.dtype == torch.uint8 and torch.equal(first, second)


def test_views_change_training_alone_and_depend_on_the_step_alone():
    batches = Batches(torch.zeros(16, 3), prompts(16), 4, views=lambda x, random: x + torch.rand(3, generator=random))
    first, again = batches.at(7)["latents"], batches.at(7)["latents"]
    assert torch.equal(first, again) and len(first.unique()) == 12
    assert not torch.equal(first, batches.at(8)["latents"])
    assert all(not batch["latents"].any() for batch in batches.each_once())


def test_sequences_meet_others_of_their_length():
    random = np.random.default_rng(0)
    rows = [torch.full((int(n),), i) for i, n in enumerate(random.integers(1, 400, 512))]
    batches = Batches(rows, prompts(512), batch=8, seed=1)
    seen, sites = [], 0
    for step in range(64):
        batch = batches.at(step)
        latents = batch["latents"]
        sites += latents.numel()
        assert latents.shape[1] % 16 == 0 and latents.dtype == torch.int64
        for line, (i,) in zip(latents, batch["prompt"].tolist(), strict=True):
            assert torch.equal(line[: len(rows[i])], rows[i]) and (line[len(rows[i]) :] == PADDING).all()
            seen.append(i)
    assert sorted(seen) == list(range(512))
    assert sites < 1.1 * sum(map(len, rows))  # without buckets: about 1.8
    widths = [batches.at(step)["latents"].shape[1] for step in range(64)]
    assert widths != sorted(widths)
    assert torch.equal(batches.at(70)["latents"], Batches(rows, prompts(512), 8, 1).at(70)["latents"])


def test_validation_holds_every_item_once_in_one_order():
    rows = [torch.full((n,), n) for n in range(1, 12)]
    held_out = Batches(rows, prompts(11), 4)
    batches = Batches(rows[:4], prompts(4), 2, held_out=held_out)
    orders = [[i for batch in batches.validation() for (i,) in batch["prompt"].tolist()] for _ in "ab"]
    assert orders[0] == orders[1] and sorted(orders[0]) == list(range(11))
    assert orders[0] != sorted(orders[0])
    nothing = Batches(torch.zeros(0, 2), prompts(0), 4)
    assert list(Batches(torch.zeros(4, 2), prompts(4), 2, held_out=nothing).validation()) == []
    with pytest.raises(Refusal, match="no items"):
        nothing.at(0)


def test_the_first_validation_batches_are_a_fair_sample_of_sorted_items():
    by_class = Batches(torch.arange(100)[:, None] // 10, prompts(100), 10)
    assert len(next(by_class.each_once())["latents"].unique()) > 4
    by_length = [torch.zeros(n, dtype=torch.int64) for n in range(1, 101)]
    widths = [batch["latents"].shape[1] for batch in Batches(by_length, prompts(100), 10).each_once()]
    assert max(widths[:4]) > 50 and sorted(widths) != widths
    starts = [int(n) for batch in Windows(torch.arange(1600), 16, 4).each_once() for n in batch["latents"][:, 0]]
    assert max(starts[:8]) > 800 and sorted(starts) == list(range(0, 1600, 16))


def test_an_index_says_which_items_are_meant():
    rows = [torch.full((n,), n) for n in range(1, 21)]
    for items in (torch.randn(20, 2), rows):
        held_out = Batches(items, prompts(20), 4, index=range(15, 20))
        batches = Batches(items, prompts(20), 5, held_out=held_out, index=range(15))
        trained = torch.cat([batches.at(step)["prompt"] for step in range(3)])
        assert sorted(trained.flatten().tolist()) == list(range(15))
        assert sorted(i for b in batches.validation() for (i,) in b["prompt"].tolist()) == list(range(15, 20))
        assert list(Batches(items, prompts(20), 5).validation()) == []


def test_impossible_batches_are_refused():
    with pytest.raises(Refusal, match="batch=0"):
        Batches(torch.zeros(4, 2), prompts(4), 0)
    with pytest.raises(Refusal, match="4 items and 3 prompts"):
        Batches(torch.zeros(4, 2), prompts(3), 2)
    with pytest.raises(Refusal, match="too short"):
        Windows(torch.zeros(1), 8, 2)


def test_windows_are_pieces_of_the_text():
    windows = Windows(torch.arange(1000), length=16, batch=32, seed=2)
    batch = windows.at(9)
    assert (
        batch["latents"].shape == (32, 16)
        and batch["latents"].dtype == torch.int64
        and batch["prompt"].shape == (32, 0)
    )
    assert (batch["latents"].diff(dim=1) == 1).all() and len(batch["latents"][:, 0].unique()) > 25
    assert torch.equal(batch["latents"], Windows(torch.arange(1000), 16, 32, 2).at(9)["latents"])
    ends = torch.cat([Windows(torch.arange(20), 16, 32).at(i)["latents"][:, 0] for i in range(10)])
    assert ends.unique().tolist() == [0, 1, 2, 3, 4]


def test_all_windows_cover_the_text_once(tmp_path):
    tokens = np.memmap(tmp_path / "tokens", np.uint16, "w+", shape=(1003,))
    tokens[:] = np.arange(1003)
    held_out = Windows(tokens, length=16, batch=4)
    batches = list(Windows(torch.arange(100), 16, 4, held_out=held_out).validation())
    flat = torch.cat([batch["latents"].flatten() for batch in batches])
    assert sorted(flat[flat != PADDING].tolist()) == list(range(1003)) and len(flat) == 1008
    assert all(batch["latents"].shape[1] == 16 for batch in batches)


def test_windows_of_a_million_symbols_touch_no_more_than_they_hold():
    windows = Windows(torch.zeros(1_000_000, dtype=torch.int64), length=256, batch=32)
    windows.at(0)
    tracemalloc.start()
    try:
        windows.at(1)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 8 * windows.at(1)["latents"].nbytes  # a copy of all would be 120 times as large
    assert lines_run(lambda: windows.at(2)) < 500
