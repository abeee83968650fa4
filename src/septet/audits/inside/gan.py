"""Section about a GAN: the critic's scores of training, held-out and generated items."""

from collections.abc import Iterator

import torch

from ...data.batches import evenly
from ...processes.adversarial import Adversarial
from ..audited import Audited
from ..charts import lines
from ..losses import hear
from ..page import Section

EACH = 200


def view(audited: Audited) -> Iterator[Section]:
    process, dataset, finish = audited.model.process, audited.dataset, audited.model.modality.postprocess
    assert isinstance(process, Adversarial)
    rows = {
        "training": [(dataset.data[i], dataset.prompts[i]) for i in evenly(dataset.training, EACH)],
        "held out": [(dataset.data[i], dataset.prompts[i]) for i in evenly(dataset.validation, EACH)],
        "generated": [(output.datum, output.prompt) for output in audited.outputs[:EACH]],
    }
    scores = {
        name: _scores(audited, process, [(finish(d), p) for d, p in group]) for name, group in rows.items() if group
    }
    curves = {n: [(k / max(1, len(s) - 1), float(y)) for k, y in enumerate(s.sort().values)] for n, s in scores.items()}
    sentences = [
        "The critic's scores, sorted; higher means more real. Where two curves coincide, it cannot distinguish them."
    ]
    figures = {name: float(s.mean()) for name, s in scores.items()}
    if {"training", "held out"} <= set(scores):
        m, n = len(scores["training"]), len(scores["held out"])
        beats = float((scores["training"][:, None] > scores["held out"]).float().mean())
        error = ((m + n + 1) / (12 * m * n)) ** 0.5  # standard deviation by chance (Mann and Whitney 1947)
        figures["training_beats_held_out"] = beats
        sentences.append(
            f"It scores a training item above a held-out one in {beats:.0%} of pairs (50 % by chance)"
            + ("; it has memorised training items." if beats > 0.5 + 3 * error else ", which can be due to chance.")
        )
    yield Section(
        "critic", "Scores of the critic", sentences, chart=lines(curves, "share of items", "score"), figures=figures
    )


@torch.no_grad()
def _scores(audited: Audited, process: Adversarial, rows: list) -> torch.Tensor:
    model, context = audited.model, hear(audited.model, [prompt for _, prompt in rows])
    return process.critic(model.encode([datum for datum, _ in rows]).to(model.device), context).cpu()
