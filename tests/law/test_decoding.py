"""Decoding many at once, from packed or plain weights, draws what the process draws alone."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from septet.backbones.incremental import COMPILERS
from septet.backbones.packed import pack, product, quantised
from septet.backbones.transformer import Transformer
from septet.contracts import Context
from septet.processes.autoregressive import Autoregressive
from septet.processes.continuations import Continuation
from septet.processes.decoding import Decoding, decode, guess
from septet.processes.filters import Filter
from septet.space import Known, Refusal, Space

SITES = 96


def process(start: bool = True, sites: int = SITES, **more) -> Autoregressive:
    torch.manual_seed(0)
    space = Space((sites,), symbols=40, markers={"end": 0, "prefix": 1, "suffix": 2, "middle": 3})
    made = Autoregressive(space, Transformer(64, 2, 4, kv_heads=2, **more), start=start, tied=not start)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += torch.randn_like(parameter) * 0.12
    return made.eval()


def alone(made: Autoregressive, given: list[int], seed: int, length: int, **settings) -> list[int]:
    known = Known(spans=((torch.tensor(given, dtype=torch.int64),),))
    state = None
    for state in made.draws(made.noise([seed]), Context(), known, length=length, **settings):
        pass
    assert state is not None
    return [symbol for symbol in state.latents[0].tolist() if symbol >= 0][len(given) :]


def request(
    made: Autoregressive, given: list[int], seed: int, length: int, guesses: int = 0, **settings
) -> Continuation:
    filter_ = Filter(settings.pop("temperature", 1.0), **settings)
    return Continuation(torch.tensor(given, dtype=torch.int64), made.noise([seed])[0], filter_, length, guesses)


PROMPTS = [[], [5, 6, 7], [9], [5, 6, 8, 30, 31, 5, 6, 8, 30], [11] * 20, [4, 5, 4, 5, 4, 5], [20, 21], [7] * 40]


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("more", [{}, {"bias": True, "query_key_norm": False, "rotary_divisors": [1.0, 2.0] * 4}])
def test_rows_that_come_and_go_draw_what_they_draw_alone(start: bool, more: dict):
    made = process(start, **more)
    asked = [request(made, given, n, 10 + 7 * n % 23, top_p=0.9) for n, given in enumerate(PROMPTS)]
    pieces: dict[int, list[int]] = {}
    for which, new in decode(Decoding(made, rows=3), asked):
        pieces.setdefault(id(which), []).extend(new)
    for n, (one, given) in enumerate(zip(asked, PROMPTS, strict=True)):
        assert one.done and one.drawn == pieces[id(one)] == alone(made, given, n, one.length, top_p=0.9)


def test_texts_that_ended_stand_by_while_others_go_on_past_all_sites():
    made, given, length = process(sites=24), [5, 6], 60
    known, state = Known(spans=((torch.tensor(given),),) * 6), None
    for state in made.draws(made.noise(list(range(6))), Context(), known, length=length):
        pass
    assert state is not None
    drawn = [[symbol for symbol in row if symbol >= 0][len(given) :] for row in state.latents.tolist()]
    assert min(map(len, drawn)) < 20 and max(map(len, drawn)) == length
    assert drawn == [alone(made, given, seed, length) for seed in range(6)]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_guessing_ahead_changes_nothing_and_takes_fewer_steps(temperature: float):
    made = process()
    with torch.no_grad():
        made.head.weight.mul_(3)  # sure of itself, so that it repeats itself
    plain = alone(made, PROMPTS[3], 0, 60, temperature=temperature)
    decoding, one = Decoding(made, rows=1), request(made, PROMPTS[3], 0, 60, guesses=6, temperature=temperature)
    steps = sum(1 for _ in decode(decoding, [one]))
    assert one.drawn == plain
    assert temperature or steps < len(plain)


def test_a_shared_beginning_is_read_once_and_a_dropped_request_leaves_the_others_alone():
    made, read = process(), []
    decoding = Decoding(made, rows=2)
    run = decoding._run
    decoding._run = lambda fed, *rest, **more: read.append(sum(map(len, fed))) or run(fed, *rest, **more)
    first = request(made, PROMPTS[-1], 1, 4)
    list(decode(decoding, [first]))
    read.clear()
    again, other, gone = (request(made, PROMPTS[-1] + [8], s, 6) for s in (2, 3, 4))
    for one in (again, other, gone):
        decoding.admit(one)
    decoding.step()
    assert read == [1]
    decoding.step()
    decoding.drop(gone)
    decoding.drop(other)
    while decoding.busy:
        decoding.step()
    assert again.drawn == alone(made, PROMPTS[-1] + [8], 2, 6) and gone.drawn == [] and other.done


def test_long_beginnings_enter_in_chunks_between_the_steps_of_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("septet.processes.decoding.CHUNK", 8)
    made = process()
    decoding, short, long = Decoding(made, rows=2), request(made, [5], 0, 20), request(made, PROMPTS[-1], 1, 5)
    decoding.admit(short)
    decoding.step()
    decoding.admit(long)
    for _ in range(4):
        decoding.step()
    assert len(short.drawn) >= 5 and not long.drawn
    while decoding.busy:
        decoding.step()
    assert (short.drawn, long.drawn) == (alone(made, [5], 0, 20), alone(made, PROMPTS[-1], 1, 5))


@pytest.mark.parametrize(("bits", "most"), [(8, 0.02), (4, 0.12), (16, 0.01), (32, 1e-6)])
def test_packed_products_come_near_the_plain_one(bits: int, most: float):
    torch.manual_seed(0)
    weight, x = torch.randn(64, 96), torch.randn(40, 96)
    packed = pack(weight, bits)
    for rows in (1, 4, 40):
        found = product(x[:rows] if bits == 32 else x[:rows].bfloat16(), packed).float()
        error = float((found - x[:rows] @ weight.T).norm() / (x[:rows] @ weight.T).norm())
        print(f"{bits} bits, {rows} rows: {error:.4f}")
        assert error < most


def test_weights_on_a_grid_are_packed_as_they_are():
    numbers = torch.randint(0, 16, (8, 64), dtype=torch.int32)
    numbers[:, ::32], numbers[:, 1::32] = 0, 15
    scale, shift = torch.rand(8, 2) + 0.5, torch.randn(8, 2)
    weight = numbers.unflatten(1, (2, 32)) * scale[..., None] + shift[..., None]
    assert torch.equal(quantised(weight.flatten(1))[2], numbers)


@pytest.mark.parametrize(("bits", "most"), [(16, 0.02), (8, 0.04), (4, 0.35)])
def test_scores_from_packed_weights_come_near_the_plain_ones(bits: int, most: float):
    made, symbols, begin = process(), torch.tensor([PROMPTS[3][:4]]), torch.tensor([0])
    found = []
    for form in (32, bits):
        network = Decoding(made, rows=1, bits=form).network
        found.append(network(symbols, begin, network.room(1, SITES), last=False))
    error = float((found[0] - found[1]).norm() / found[0].norm())
    print(f"{bits} bits: {error:.3f}")
    assert error < most


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # the compiler's own
@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="no C++ compiler is here")
@pytest.mark.parametrize("more", [{}, {"bias": True, "query_key_norm": False}])
def test_a_compiled_step_draws_what_the_plain_one_draws(more: dict):
    made, found = process(sites=300, **more), []
    for compiled in (False, True):
        decoding = Decoding(made, rows=3)
        assert not compiled or decoding.compile()
        assert {key[2] for key in decoding.network.compiled} == ({256, 384} if compiled else set())
        asked = [request(made, given, n, 20, guesses=5 * (n % 2)) for n, given in enumerate(PROMPTS)]
        asked[2].length = 280  # through both lengths
        for several in (asked[:1], asked[1:2], asked[2:4], asked[4:]):
            for _ in decode(decoding, several):
                pass
        found.append([one.drawn for one in asked])
    assert found[0] == found[1]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="what a process takes is not told here")
def test_room_takes_memory_only_where_it_is_used():
    network = Decoding(process(), rows=1).network

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    room = network.room(16, 1 << 16)
    held = sum(tensor.nbytes for tensor in room.cache)
    angles = sum(tensor.nbytes for tensor in room.angles)
    assert held > 5e8 > 10 * (resident() - before - angles)
    assert all(tensor.data_ptr() % 64 == 0 and not tensor[3, :, -5:].any() for tensor in room.cache)


def test_guesses_are_what_followed_before():
    assert guess([1, 2, 3, 4, 9, 1, 2, 3], 2) == [4, 9]
    assert guess([1, 2, 3], 4) == [] and guess([7, 7, 7, 7], 3) == [7] and guess([1, 2, 1, 2], 0) == []


def test_impossible_requests_are_refused():
    made = process(start=False)
    decoding = Decoding(made, rows=1)
    with pytest.raises(Refusal, match="96 in all"):
        decoding.admit(request(made, [4] * 90, 0, 40))
    with pytest.raises(Refusal, match="at least 1"):
        Decoding(made, rows=0)
