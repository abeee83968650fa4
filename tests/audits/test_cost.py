"""Operations counted against operations worked out by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch

from septet.audits import cost
from septet.audits.audited import Audited
from septet.backbones.layers import Attention
from septet.backbones.transformer import Transformer
from septet.backbones.unet import UNet
from septet.codecs.symbols import Symbols
from septet.codecs.variational import Variational
from septet.conditioners.nothing import Nothing
from septet.contracts import Context, Places
from septet.data.dataset import read
from septet.fitting import flops
from septet.generator import Generator
from septet.modalities.text import Text
from septet.processes.autoregressive import Autoregressive


def products(module: torch.nn.Module, work) -> int:
    """2 m n k of every linear layer, convolution and attention that `work` calls, by hooks: no counter of torch's."""
    total = 0

    def hook(layer: Any, inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, Attention):
            batch, sites, _ = output.shape
            total += 4 * batch * sites**2 * layer.query.weight.shape[0]
        else:
            total += 2 * output.numel() * layer.weight[0].numel()

    kinds = (torch.nn.Linear, torch.nn.Conv2d, Attention)
    hooks = [m.register_forward_hook(hook) for m in module.modules() if isinstance(m, kinds)]
    work()
    for one in hooks:
        one.remove()
    return total


def test_a_gpt_agrees_with_the_formula():
    width, layers, sites, batch = 64, 3, 48, 4
    torch.manual_seed(0)
    codec = Symbols.learned(["abc " * 100], "bytes", sites)
    process = Autoregressive(codec.space, Transformer(width, layers, heads=2))
    model = Generator(Text(), codec, process, Nothing())
    latents = torch.randint(0, 256, (batch, sites))
    found = flops.of_steps(model, [{"latents": latents, "prompt": torch.zeros(batch, 0, dtype=torch.int64)}])
    matrices = sum(p.numel() for name, p in model.named_parameters() if p.dim() == 2 and "table" not in name)
    rows = batch * sites
    expected = 6 * rows * matrices + 12 * rows * layers * width * sites  # Kaplan et al. 2020, section 2.1
    assert found == pytest.approx(expected, rel=0.02)


def test_an_output_is_counted_as_it_was_drawn():
    torch.manual_seed(0)
    codec = Symbols.learned(["abc " * 100], "bytes", 64)
    model = Generator(Text(), codec, Autoregressive(codec.space, Transformer(16, 1, heads=1)), Nothing())
    found = {}
    for length in (1, 2, 60):
        outputs = list(model.generate(None, length=length))
        audited = Audited(
            model, Path(), {}, Path(), read(["abc"] * 4, Text()), outputs, [], None, {}, {"length": length}
        )
        found[length] = cost.of_output(audited)["flop"]
    assert found[1] < found[2] < found[60]


def test_a_unet_agrees_with_its_layers():
    model = UNet.tiny()
    x = torch.randn(2, 16, model.width)
    places = Places(torch.cartesian_prod(torch.arange(4), torch.arange(4)))
    levels = (torch.full((2, 1), 0.5), None)

    def work():
        return model(x, places, Context(), levels)

    assert flops.counted(work) == pytest.approx(products(model, work), rel=0.02)


def test_a_vae_agrees_with_its_layers():
    torch.manual_seed(0)
    model = Variational((16, 16), 3, width=8, vector=True)
    batch = {"data": torch.randint(0, 256, (4, 16, 16, 3), dtype=torch.uint8)}
    forward = products(model, lambda: model(batch, "model", 0.5))
    found = flops.counted(lambda: model(batch, "model", 0.5))
    assert found == pytest.approx(forward, rel=0.02)
    model.variance.fill_(7.0)
    assert 2.5 * found < (flops.of_steps(model, [batch]) or 0) <= 3 * found
    assert float(model.variance) == 7.0 and all(p.grad is None for p in model.parameters())


def test_estimates_are_called_so_and_add_up():
    run = {"seconds": 3600.0, "threads": 2, "stages": {"gpt": {"flop": 3_000_000_000_000}}, "peak_memory_bytes": 10**9}
    found = cost._training(run)
    assert (
        found is not None and found["watt_hours"] == pytest.approx(20) and found["grams_of_co2"] == pytest.approx(9.6)
    )
    assert cost._told(found) == (
        "Training took 3,600 s on 2 threads, 1.0 GB of memory at most, 3 teraFLOP; about 20 Wh and 9.6 g of CO2 "
        "(estimated)."
    )
    assert cost._training({}) is None and cost._training({"seconds": 3, "stages": None}) is None
