"""septet export."""

import time
from pathlib import Path
from typing import Annotated

import typer


def export(
    reference: Annotated[str, typer.Argument(help="A language model: fine-tuned or published.")],
    out: Annotated[Path, typer.Option(help="The new folder.")],
    precision: Annotated[str, typer.Option(help="bfloat16, float16 or float32.")] = "bfloat16",
) -> None:
    """Export a language model to a folder that transformers and other programs load; adapters are merged into it."""
    import torch

    from .. import models
    from ..openweights import writing
    from ..space import Refusal
    from .terminal import cost, say

    began, kinds = time.time(), ("bfloat16", "float16", "float32")
    if precision not in kinds:
        raise Refusal(f"--precision {precision}: expected {', '.join(kinds)}")
    folder = writing.export(models.load(reference), out, getattr(torch, precision))
    say(f"Wrote {folder}.\nCost: {cost(began)}.", "chat", "--model", folder)
