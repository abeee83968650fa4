"""Computes TRUST of code_completion/drawing.py: the best weight of the index by the length of its match.

    python benchmarks/trust.py [--quick] [--model python] [--cases 600]

On lines of the validation packages, with an index of the package's files: the mixture weight of index and model that
maximises the likelihood of the true tokens, by expectation maximisation, one weight per length.
"""

import sys
import time
from pathlib import Path

import measure.report as report
import numpy as np
import torch
from measure.completers import Indexed, projects
from measure.lines import cases
from measure.report import Figure
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parent.parent / "pretraining"))
import python_code

from septet import models
from septet.code_completion import Completer, Index
from septet.code_completion.completer import A_LINE
from septet.code_completion.drawing import Drawing
from septet.code_completion.index import LONGEST
from septet.contracts import Context
from septet.processes.autoregressive import Autoregressive

ROUNDS = 50  # of expectation maximisation
PRIOR = 4  # pseudo-counts, in tokens, with the weight of the previous length


@torch.no_grad()
def chances(model, completer: Completer, index: Index, case) -> list[tuple[int, float, float]]:
    """(length of the match, the model's probability, the index's) of each token of the true line, and of the partial
    word at the cursor, for which the index finds a match."""
    drawing = Drawing(completer.codec, index, case.before, completer.pieces, False, 0.0)
    asked = completer.asked(drawing.read, case.after, A_LINE)
    told = completer.codec.symbols_of(drawing.begun + case.line, begun=False)[:A_LINE]
    row = torch.cat([asked, told])[None]
    assert isinstance(model.process, Autoregressive)
    scores_nV = model.process.predict(row, Context())[0, len(asked) :].float().softmax(-1)
    found, text = [], drawing.read
    for symbol, chance_V in zip(told.tolist(), scores_nV, strict=True):
        said = index.after(text)
        if said.followers:
            share = said.followers[symbol] / sum(said.followers.values())
            found.append((said.length, float(chance_V[symbol]), share))
        text += completer.codec.text_of(torch.tensor([symbol]))
    return found


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--model", default="python")
    parser.add_argument("--cases", type=int, default=600)
    asked, began = parser.parse_args(), time.monotonic()
    model = models.load(asked.model).eval()
    files = [(s.package, s.path, s.text) for s in python_code.load() if s.split == "validation"]
    completer, rows = Completer(model), []
    beside = Indexed(completer, projects(files))
    for case in track(cases(files, 4 if asked.quick else asked.cases), disable=not sys.stderr.isatty()):
        with beside.around(case) as index:
            rows += chances(model, completer, index, case)
    length_n, model_n, index_n = (np.array(column) for column in zip(*rows, strict=True))
    trust = [0.0]
    for length in range(1, LONGEST + 1):
        mine, said = model_n[length_n == length], index_n[length_n == length]
        weight = before = max(trust[-1], 0.05)
        for _ in range(ROUNDS):
            share = weight * said / np.maximum(weight * said + (1 - weight) * mine, 1e-30)
            weight = float((share.sum() + PRIOR * before) / (len(share) + PRIOR))
        trust.append(weight)
        print(f"{length:3d} {len(mine):6d} tokens, right {np.mean(said > 0.5) if len(said) else 0:.2f}: {weight:.2f}")
    print("TRUST =", tuple(round(weight, 2) for weight in trust))
    weight_n = np.array(trust)[length_n]
    both, alone = np.log(weight_n * index_n + (1 - weight_n) * model_n), np.log(np.maximum(model_n, 1e-30))
    report.answer(
        [Figure("nats per token, the model alone", -alone.mean()), Figure("- with the index", -both.mean())],
        began,
        asked.quick,
    )


if __name__ == "__main__":
    main()
