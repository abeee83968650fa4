"""What every process promises, tried on its smallest real instance.

Shapes: B batch, N sites, C channels.
"""

import inspect
import json

import pytest
import torch
from torch import Tensor

from septet.backbones.transformer import Transformer
from septet.contracts import Context, Process
from septet.part import build, describe, part_name
from septet.processes.adversarial import Adversarial
from septet.processes.autoregressive import Autoregressive
from septet.processes.critics import MLPCritic, MLPGenerator
from septet.processes.flow import Flow
from septet.processes.gaussian import Gaussian
from septet.processes.guidance import Guidance
from septet.processes.masked import Masked
from septet.processes.permuted import Permuted
from septet.space import PADDING, Known, Refusal, Space

KINDS = [Adversarial, Autoregressive, Flow, Gaussian, Masked, Permuted]
PARTS = {part_name(kind): kind for kind in [*KINDS, MLPCritic, MLPGenerator, Transformer]}
PLAYERS = [(kind, player) for kind in KINDS for player in kind.players]
SEEDS = [3, 1, 4, 15]


def tiny(kind: type[Process]) -> Process:
    process = kind.tiny()
    assert isinstance(process, kind)
    return process


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def process(request) -> Process:
    """A tiny instance with weights that do something: several start at zero."""
    return disturbed(tiny(request.param))


def disturbed(process: Process) -> Process:
    torch.manual_seed(0)
    with torch.no_grad():
        for p in process.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return process.eval()


def data(space: Space, batch: int = 32) -> Tensor:
    """Latents with a pattern to learn; in a Space with an end, of several lengths."""
    if space.channels is not None:
        return torch.linspace(-2, 2, space.sites)[:, None] + 0.3 * torch.randn(batch, space.sites, space.channels)
    latents = (torch.arange(space.sites) // 2 + torch.randint(2, (batch, 1))) % 4
    if "end" in space.markers:
        for row, length in zip(latents, torch.randint(3, space.sites, (batch,)).tolist(), strict=True):
            row[length], row[length + 1 :] = space.markers["end"], PADDING
    return latents


def mean_loss(process: Process, player: str) -> Tensor:
    """The loss averaged over fixed randomness."""
    losses = []
    for seed in range(8):
        torch.manual_seed(seed)
        losses.append(process.loss(data(process.space), Context(), player, 0.5)[0])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("kind, player", PLAYERS, ids=lambda value: getattr(value, "__name__", value))
def test_a_player_learns_and_touches_nobody_else(kind: type[Process], player: str):
    torch.manual_seed(0)
    process = tiny(kind).train()
    mine = process.parameters_of(player)
    others = [p for p in process.parameters() if not any(p is q for q in mine)]
    kept = [p.detach().clone() for p in others]
    for p in others:
        p.requires_grad_(False)
    optimiser = torch.optim.Adam(mine, lr=0.01)
    before, reached = mean_loss(process, player), set()
    assert torch.isfinite(before) and before.shape == ()
    for step in range(60):
        torch.manual_seed(step)
        optimiser.zero_grad()
        process.loss(data(process.space), Context(), player, step / 60)[0].backward()
        reached |= {name for name, p in process.named_parameters() if p.grad is not None and p.grad.any()}
        optimiser.step()
    assert mean_loss(process, player) < before * 0.99
    assert reached == {name for name, p in process.named_parameters() if p.requires_grad}
    assert all(torch.equal(p, q) and p.grad is None for p, q in zip(others, kept, strict=True))


def test_players_share_the_parameters_out(process: Process):
    of_players = [id(p) for player in process.players for p in process.parameters_of(player)]
    assert sorted(of_players) == sorted(id(p) for p in process.parameters())
    assert set(process.averaged) <= set(process.players)


def test_the_critics_turn_leaves_the_generator_without_gradient():
    process = Adversarial.tiny()
    process.loss(data(process.space), Context(), "critic", 0.0)[0].backward()
    assert all(p.grad is None for p in process.parameters_of("generator"))


def test_validation_is_a_weighted_mean_or_none(process: Process):
    torch.manual_seed(0)
    figures = process.validation(data(process.space), Context())
    if isinstance(process, Adversarial):
        assert figures is None
        return
    assert figures is not None and set(figures) == {"loss", "weight"}
    assert torch.isfinite(figures["loss"]) and figures["weight"] > 0


def test_a_draw_obeys_its_space(process: Process):
    states = list(process.draws(process.noise(SEEDS), Context()))
    for place, state in enumerate(states):
        assert (state.step, state.steps >= len(states)) == (place, True)
        assert process.space.holds(state.latents) and process.space.holds(state.guess)
    end, last = process.space.markers.get("end"), states[-1].latents
    assert torch.equal(last, process.sample(process.noise(SEEDS), Context()))
    if process.space.discrete:
        for row in last.tolist():
            symbols = [symbol for symbol in row if symbol != PADDING]
            assert row == symbols + [PADDING] * (len(row) - len(symbols)) and end not in symbols[:-1]


def test_a_seed_means_the_same_noise_in_any_batch(process: Process):
    assert torch.equal(process.noise(SEEDS)[2], process.noise([SEEDS[2]])[0])
    assert not torch.equal(process.noise(SEEDS)[0], process.noise(SEEDS)[1])


def test_noise_is_distributed_as_declared(process: Process):
    noise = process.noise(range(300)).flatten()
    deviation = {"normal": 1.0, "uniform": 12**-0.5}[process.noise_distribution]
    assert abs(float(noise.mean()) - (0.5 if process.noise_distribution == "uniform" else 0)) < 0.1
    assert abs(float(noise.std()) - deviation) < 0.1


def test_a_draw_is_the_same_alone_and_in_a_batch(process: Process):
    together = process.sample(process.noise(SEEDS), Context())
    for row, seed in zip(together, SEEDS, strict=True):
        alone = process.sample(process.noise([seed]), Context())[0]
        if process.space.discrete:
            assert row[row != PADDING].tolist() == alone[alone != PADDING].tolist()
        else:
            torch.testing.assert_close(row, alone, atol=1e-4, rtol=1e-4)


def known_of(process: Process, kind: str) -> Known:
    """Something known for each of SEEDS; in sequences of unequal length."""
    symbols = torch.tensor([0, 1, 2, 3, 2, 1])
    if kind == "mask":
        values = data(Space(process.space.shape, process.space.symbols, process.space.channels), len(SEEDS))
        return Known(values, torch.rand(len(SEEDS), process.space.sites) < 0.4)
    lengths = range(2, 2 + len(SEEDS))
    return Known(spans=tuple((symbols[:n],) if kind == "prefix" else (symbols[:2], symbols[:n]) for n in lengths))


@pytest.mark.parametrize("kind", ["mask", "prefix", "spans"])
def test_what_is_known_comes_back_or_is_refused(process: Process, kind: str):
    torch.manual_seed(1)
    known, noise = known_of(process, kind), process.noise(SEEDS)
    if kind not in process.supports:
        with pytest.raises(Refusal, match=type(process).__name__):
            process.sample(noise, Context(), known)
        return
    latents = process.sample(noise, Context(), known)
    assert process.space.holds(latents) or kind == "spans"
    if known.values is not None and known.where_BN is not None:
        assert torch.equal(latents[known.where_BN], known.values[known.where_BN])
    for row, spans in zip(latents, known.spans or (), strict=False):
        symbols = row[row != PADDING]
        assert torch.equal(symbols[: len(spans[0])], spans[0])
        if len(spans) == 2:
            assert torch.equal(symbols[-1 - len(spans[1]) : -1], spans[1])


def test_guidance_towards_the_same_prompt_changes_nothing(process: Process):
    if "guidance" not in inspect.signature(process.draws).parameters:
        return
    noise, context = process.noise(SEEDS), Context(torch.randn(len(SEEDS), 2, 32))
    plain = process.sample(noise, context)
    guided = process.sample(noise, context, guidance=Guidance(3.0, context))
    torch.testing.assert_close(guided, plain, atol=1e-3, rtol=1e-3)


def test_a_rebuilt_process_draws_the_same(process: Process):
    tree = json.loads(json.dumps(describe(process)))
    again = build(tree, PARTS.__getitem__, lambda name: pytest.fail(f"no file {name} was written"))
    again.load_state_dict(process.state_dict())
    drawn = again.eval().sample(process.noise(SEEDS), Context())
    assert torch.equal(drawn, process.sample(process.noise(SEEDS), Context()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_space_of_the_wrong_kind_is_refused_by_name(kind: type[Process]):
    right = tiny(kind)
    wrong = Space((4,), channels=2) if right.space.discrete else Space((4,), symbols=5)
    arguments = right.__dict__["arguments"] | {"space": wrong}
    with pytest.raises(Refusal, match=kind.__name__):
        kind(**arguments)


@pytest.mark.parametrize(
    "kind, settings, words",
    [
        (Masked, {"steps": 90}, "steps=90: expected 1 to 16"),
        (Masked, {"order": "left"}, "order='left'"),
        (Masked, {"temperature": -1.0}, "temperature=-1.0"),
        (Flow, {"steps": 0}, "steps=0: a flow takes 1 to 1000 steps"),
        (Flow, {"solver": "guess"}, "solver='guess'"),
        (Autoregressive, {"top_p": 2.0}, "top_p=2.0"),
    ],
)
def test_an_impossible_setting_is_refused_in_words(kind: type[Process], settings: dict, words: str):
    process = tiny(kind)
    with pytest.raises(Refusal, match=words):
        process.sample(process.noise([0]), Context(), **settings)


@pytest.mark.parametrize("kind", [Masked, Permuted])
def test_padding_cannot_be_known_where_there_is_none(kind: type[Masked] | type[Permuted]):
    process = kind(Space((4, 4), symbols=5), Transformer(width=32, layers=1, heads=2))
    known = Known(torch.full((1, 16), PADDING), torch.ones(1, 16, dtype=torch.bool))
    with pytest.raises(Refusal, match="Known holds padding"):
        process.sample(process.noise([0]), Context(), known)


def test_masked_predicts_only_from_what_is_shown():
    process = disturbed(Masked.tiny())
    assert isinstance(process, Masked)
    latents, where = data(process.space, 2), torch.rand(2, 16) < 0.5
    hidden = torch.where(where, latents, (latents + 1).clamp(0, 3))
    torch.testing.assert_close(process.predict(latents, where, Context()), process.predict(hidden, where, Context()))
    assert process.predict(latents, where, Context()).shape == (2, 16, 7)
