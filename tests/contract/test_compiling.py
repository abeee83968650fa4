"""Compiled code is believed only where it does what it was compiled from. Compilers that produce wrong code stand for
those that do on some processors."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from players import PLAIN, Line, trained
from torch import Tensor, nn

from septet.backbones.compiling import NARROW, Checked
from septet.backbones.transformer import Transformer
from septet.contracts import Context, Places

pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),  # dynamo's own
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def forgotten():
    """What other tests compiled."""
    torch.compiler.reset()


def right(graph, inputs, config_patches):
    return graph.forward


def scaled(graph, inputs, config_patches):
    """Every output is a tenth too large."""
    return lambda *given: tuple(value * 1.1 for value in graph.forward(*given))


class Spoiled(torch.autograd.Function):
    """The identity, with one gradient of a row that is not a number."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.clone()
        gradient[0, 0] = float("nan")
        return gradient


def spoiled(graph, inputs, config_patches):
    """The outputs are right, the gradients are not."""
    return lambda *given: graph.forward(
        *(Spoiled.apply(x) if isinstance(x, Tensor) and x.dim() == 2 and x.requires_grad else x for x in given)
    )


def wide_is(wrong):
    """A compiler that is wrong with the widest vectors alone."""
    return lambda graph, inputs, config_patches: (right if NARROW.items() <= config_patches.items() else wrong)(
        graph, inputs, config_patches
    )


def failing(graph, inputs, config_patches):
    raise RuntimeError("no C++ compiler\nwas found")


class Residual(nn.Module):
    """Its second matrix is zero at the start, as a transformer's are."""

    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(3, 8), nn.Linear(8, 3)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(nn.functional.silu(self.into(x)))


class Stack(Line):
    """Two blocks and a layer."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Residual(), Residual()])

    def forward(self, batch, player, progress):
        x = batch["x"]
        for block in self.blocks:
            x = block(x)
        return (self.layer(x) - batch["x"].flip(1)).square().mean(), {}


def losses(steps) -> list[float]:
    return [step.losses["loss"] for step in steps]


@pytest.mark.parametrize(
    ("compiler", "told"),
    [
        (right, []),
        (wide_is(scaled), ["256-bit"]),
        (wide_is(spoiled), ["256-bit"]),
        (scaled, ["256-bit", "not compiled"]),
        (spoiled, ["256-bit", "not compiled"]),
        (failing, ["no C++ compiler): not compiled"]),
    ],
)
def test_training_goes_on_as_uncompiled_whatever_a_compiler_does(monkeypatch, compiler, told):
    plain = trained(Stack(), PLAIN, 4)
    monkeypatch.setattr("septet.fitting.loop.Checked", partial(Checked, compiler=compiler))
    steps = trained(Stack(), replace(PLAIN, compile=True), 4)
    assert losses(steps) == pytest.approx(losses(plain), rel=1e-5)
    assert len(steps[0].remarks) == len(told) and not any(step.remarks for step in steps[1:])
    for remark, words in zip(steps[0].remarks, told, strict=True):
        assert words in remark


def test_what_is_wrong_with_what_is_written_to_is_found():
    """A cache that is empty at first, and what reads of it."""

    def step(x: Tensor, cache: Tensor) -> Tensor:
        cache[:, 1] = x
        return x + cache.sum(1)

    def unwritten(graph, inputs, config_patches):
        return lambda *given: graph.forward(*(x.clone() for x in given))

    told, cache = [], torch.zeros(2, 3)
    compiled = torch.compile(step, backend=Checked(told.append, compiler=unwritten))
    assert torch.equal(compiled(torch.ones(2), cache), torch.full((2,), 2.0))
    assert torch.equal(cache[:, 1], torch.ones(2)) and "not compiled" in told[-1]


def test_what_is_checked_lies_in_memory_as_it_does():
    """A part of a tensor and a repeated one: compiled code is made for their strides."""

    def laid_out(graph, inputs, config_patches):
        strides = [value.stride() for value in inputs]

        def run(*given):
            assert [value.stride() for value in given] == strides
            return graph.forward(*given)

        return run

    told, whole = [], torch.randn(4, 8)
    compiled = torch.compile(lambda part, same: part * same, backend=Checked(told.append, compiler=laid_out))
    part, same = whole[:, :3], torch.randn(1, 3).expand(4, 3)
    assert torch.equal(compiled(part, same), part * same) and not told


def test_checking_uses_up_no_random_numbers():
    drop = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    x, found = torch.randn(4, 3), []
    for backend in (None, Checked(compiler=right)):
        torch.manual_seed(1)
        run = torch.compile(drop, backend=backend) if backend else drop
        found.append((run(x), torch.rand(1)))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_gradients_of_compiled_blocks_are_those_of_uncompiled_ones(dropout: float):
    """In bf16, at the size at which some processors' compiled code was wrong."""

    def gradients(compiled: bool) -> list[Tensor]:
        torch.manual_seed(0)
        network = Transformer(128, 1, 2, dropout=dropout).train()
        x = torch.randn(2, 128, 128)
        if compiled:
            network.blocks[0].compile(backend=Checked())
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.05)
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            y = network(x, Places(torch.arange(128)[:, None], causal=True), Context())
        (y.float() * x).sum().backward()
        return [p.grad for p in network.parameters() if p.grad is not None]

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        assert found.isfinite().all()
        assert dropout or (found - expected).norm() < 0.05 * expected.norm()
