"""A causal model cannot see what it is to tell, and its cache changes nothing."""

import pytest
import torch

from septet.contracts import Context
from septet.processes.autoregressive import Autoregressive
from septet.processes.reader import Reader


@pytest.fixture
def process() -> Autoregressive:
    torch.manual_seed(0)
    process = Autoregressive.tiny().eval()
    with torch.no_grad():
        for p in process.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    return process


def context(rows: int, kind: str) -> Context:
    generator = torch.Generator().manual_seed(1)
    if kind == "nothing":
        return Context()
    vector = torch.randn(1, 32, generator=generator).expand(rows, -1)
    if kind == "vector":
        return Context(vector_BD=vector)
    return Context(
        torch.randn(1, 3, 32, generator=generator).expand(rows, -1, -1), torch.ones(rows, 3, dtype=torch.bool)
    )


@pytest.mark.parametrize("kind", ["nothing", "vector", "tokens"])
def test_gradient_comes_from_before_alone(process: Autoregressive, kind: str):
    entered = []

    def keep(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        output.retain_grad()
        entered.append(output)

    process.table.register_forward_hook(keep)
    for site in range(8):
        entered.clear()
        scores = process.predict(torch.randint(0, 9, (2, 8)), context(2, kind))
        scores[:, site].square().sum().backward()
        seen = entered[0].grad.abs().sum((0, 2)) > 0
        assert seen.tolist() == [place < site for place in range(7)], (
            f"site {site} sees {seen.nonzero()[:, 0].tolist()}"
        )


@torch.no_grad()
def test_a_symbol_changes_only_what_comes_after_it(process: Autoregressive):
    latents = torch.randint(0, 9, (2, 8))
    scores = process.predict(latents, Context())
    for place in range(8):
        other = latents.clone()
        other[:, place] = (other[:, place] + 1) % 9
        changed = (process.predict(other, Context()) - scores).abs().amax((0, 2)) > 1e-6
        assert changed.tolist() == [site > place for site in range(8)], f"symbol {place} changes {changed.tolist()}"


@pytest.mark.parametrize("kind", ["nothing", "vector", "tokens"])
def test_cached_scores_equal_uncached_ones(process: Autoregressive, kind: str):
    given = [torch.randint(0, 5, (n,)) for n in (0, 3, 6)]
    drawn = torch.randint(0, 5, (3, 5))
    largest = 0.0
    with torch.no_grad():
        reader = Reader(process, given, context(3, kind), None)
        for step in range(5):
            cached = reader.next_scores(drawn[:, :step])
            for row in range(3):
                whole = torch.cat([given[row], drawn[row, :step], torch.tensor([0])])
                uncached = process.predict(whole[None], context(1, kind))[0, -1]
                largest = max(largest, float((cached[row] - uncached).abs().max()))
    print(f"\n  cached against uncached scores, {kind}: largest difference {largest:.1e}, margin 1e-4", end="")
    assert largest < 1e-4
