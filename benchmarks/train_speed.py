"""Training speed of the GPT recipe against `transformers`: tokens per second of equal networks, by turns.

    python benchmarks/train_speed.py [--quick] [--rounds 9]

Ours is the recipe `text_gpt` with the settings of a long run, through fit(): Muon with AdamW, bf16, gradient clipping,
weight averages, compiled blocks. Theirs is a Llama of the same width, depth, heads, hidden width, context, batch size
and vocabulary in a plain AdamW loop: with defaults (fp32), with its best settings (bf16 autocast, fused attention and
optimiser), and, for information only, with these and torch.compile.
"""

import importlib.util
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import measure.report as report
import measure.rounds as rounds
import torch
from measure.report import Figure

from septet.backbones.transformer import Transformer
from septet.fitting import Batches, fit
from septet.fitting.pace import Pace
from septet.recipes import Plan
from septet.recipes.text_gpt import text_gpt

AS_IT_COMES, BEST = 1.5, 1.0
OURS, THEIRS, THEIR_BEST, THEIR_COMPILED = "septet", "transformers", "transformers, best", "transformers, compiled"
QUICK = {"width": 32, "layers": 2, "length": 32, "batch": 2, "seconds": 400.0}


def recipe(options: dict[str, Any]) -> Plan:
    """The recipe's plan on random letters, since speed does not depend on content."""
    letters = random.Random(0).choices("abcdefghij klmnop\n", k=100_000)
    return text_gpt(["".join(letters)], tokens="bytes", **options)


def ours(plan: Plan) -> Callable[[], None]:
    """Returns a function that runs one step of fit(), with so many steps planned that none of them validates."""
    stage = plan.stages[0]
    steps = fit(stage.learner, stage.batches(), stage.settings, Pace(steps=10**9))

    def step() -> None:
        next(steps)

    return step


def llama(backbone: Transformer, symbols: int, context: int) -> torch.nn.Module:
    """The `transformers` model of the same size."""
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = backbone.width // backbone.head_width
    config = LlamaConfig(
        vocab_size=symbols,
        hidden_size=backbone.width,
        intermediate_size=backbone.blocks[0].mlp.down.in_features,
        num_hidden_layers=len(backbone.blocks),
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
    )
    return LlamaForCausalLM(config).train()


def theirs(model: torch.nn.Module, batches: Batches, bf16: bool, compiled: bool) -> Callable[[], None]:
    """Returns a function that runs one step of a plain training loop."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=bf16)
    run = torch.compile(model) if compiled else model
    count = iter(range(10**9))

    def step() -> None:
        tokens_BN = batches.at(next(count))["latents"]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = run(input_ids=tokens_BN, labels=tokens_BN).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turns", type=int, default=3, help="steps of each contestant per round")
    asked, began = parser.parse_args(), time.monotonic()
    if importlib.util.find_spec("transformers") is None:
        report.skip("Skipped: transformers is not installed; pip install 'septet[bench]'.")
        return
    plan = recipe(QUICK if asked.quick else {"seconds": 1200.0})
    process, batches = plan.generator.process, plan.stages[0].batches()
    tokens_BN = batches.at(0)["latents"]
    models = [llama(process.backbone, process.space.symbols, tokens_BN.shape[1]) for _ in range(3)]
    contestants = {
        OURS: ours(plan),
        THEIRS: theirs(models[0], batches, bf16=False, compiled=False),
        THEIR_BEST: theirs(models[1], batches, bf16=True, compiled=False),
    }
    if plan.stages[0].settings.compile:
        contestants[THEIR_COMPILED] = theirs(models[2], batches, bf16=True, compiled=True)
    count, turns = (2, 1) if asked.quick else (asked.rounds, asked.turns)
    found = rounds.speeds(contestants, tokens_BN.numel(), count, turns)
    figures = [Figure(name, statistics.median(values), "tokens/s") for name, values in found.items()]
    demands = {THEIRS: AS_IT_COMES, THEIR_BEST: BEST, THEIR_COMPILED: None}
    for name in list(found)[1:]:
        figures.append(Figure(f"septet / {name}", rounds.ratio(found, OURS, name), "times", at_least=demands[name]))
    sizes = {"width": process.backbone.width, "layers": len(process.backbone.blocks)}
    sizes |= {"batch": len(tokens_BN), "context": tokens_BN.shape[1], "symbols": process.space.symbols}
    sizes["parameters"] = sum(p.numel() for p in process.parameters())
    sizes["their_parameters"] = sum(p.numel() for p in models[0].parameters())
    report.answer(figures, began, asked.quick, **sizes, compiled=plan.stages[0].settings.compile)


if __name__ == "__main__":
    main()
