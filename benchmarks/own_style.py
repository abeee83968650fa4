"""Learning a user's own style in ten minutes: 300 icons and 400 pictures of sets that no starter was trained on.

    python benchmarks/own_style.py [--only icons|pictures] [--budget 10m] [--seed 0] [--network auto] [--out D]

The command line trains two models on each folder, from the starter that it chooses by default and from scratch; only
from scratch if no starter for this kind of content ships. Samples for the captions of held-out items of the same set
are compared with these items; the floor is what the training items score in their place. The validation losses of icons
are comparable; those of pictures are not, since the two models use different technologies.
"""

import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import resvg_py
from measure import report
from measure.command import said
from measure.report import Figure

sys.path.insert(0, str(Path(__file__).parent.parent / "pretraining"))
import emoji
import icons
from packages import fetch

from septet import models
from septet.audits import fidelity
from septet.data.dataset import read
from septet.generator import Generator
from septet.originality import nearness
from septet.runs import seconds_of

ICONS = ("npm:@iconify-json/teenyicons", "1.2.2", "d7433dcfad7bfe26ccab3482516050f8f2d9ea4aacf1d2cb0230694198adda2d")
EMOJI = ("npm:@iconify-json/fxemoji", "1.2.2", "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef")
COUNT = {"icons": 300, "pictures": 400}
KIND = {"icons": "vector", "pictures": "image"}
SHAPED = {"icons": (), "pictures": ("size=40",)}  # so that both models of a folder generate the same size
PIXELS = 96


def thin_icons(archives: Path) -> Iterator[tuple[str, str, bytes]]:
    """(caption, suffix, content) of the outlined icons of Teenyicons (Anja van Staden, MIT)."""
    content = json.loads(emoji.member(fetch(*ICONS, archives), "icons.json"))
    for name, icon in content["icons"].items():
        if name.endswith("-outline"):
            box = f"0 0 {icon.get('width', content['width'])} {icon.get('height', content['height'])}"
            source = f'{icons.OPENING} viewBox="{box}">{icon["body"]}</svg>'
            yield name.removesuffix("-outline").replace("-", " "), ".svg", source.encode()


def flat_emoji(archives: Path) -> Iterator[tuple[str, str, bytes]]:
    """The same for FxEmojis (Mozilla, Apache-2.0), as PNG. Its names are words run together: those that match a label
    or short name in emojibase are captioned by that label, the others are omitted."""
    labels, names = fetch(*emoji.LABELS, archives), {}
    known = {code: entry["label"] for code, entry in emoji.labels(archives).items()}
    for source in ("joypixels", "iamcal", "github"):
        for code, words in json.loads(emoji.member(labels, f"en/shortcodes/{source}.json")).items():
            if emoji.key(code) in known:
                for word in [words] if isinstance(words, str) else words:
                    names[run_together(word)] = known[emoji.key(code)]
    names |= {run_together(label): label for label in known.values()}
    content = json.loads(emoji.member(fetch(*EMOJI, archives), "icons.json"))
    for name, icon in content["icons"].items():
        if name in names:
            box = f"0 0 {icon.get('width', content['width'])} {icon.get('height', content['height'])}"
            source = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{icon["body"]}</svg>'
            picture = resvg_py.svg_to_bytes(svg_string=source, width=PIXELS, height=PIXELS, skip_system_fonts=True)
            yield names[name].replace("/", " "), ".png", bytes(picture)


def run_together(words: str) -> str:
    return re.sub("[^a-z0-9]", "", words.lower())


def split(items: Iterator[tuple[str, str, bytes]], count: int, folder: Path) -> tuple[Path, Path]:
    """Writes two folders: `count` items to train on, and at most as many others to compare with."""
    by_name = {f"{caption}{suffix}": content for caption, suffix, content in items}
    names = np.random.default_rng(0).permutation(sorted(by_name)).tolist()
    parts = folder / "mine", folder / "others"
    for part, chosen in zip(parts, (names[:count], names[count : 2 * count]), strict=True):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name in chosen:
            (part / name).write_bytes(by_name[name])
    return parts


def trained(kind: str, source: Path, out: Path, budget: str, *words: object) -> tuple[Generator, float]:
    """Trains by the command line; returns the model and the seconds from start to exit."""
    began = time.monotonic()
    said(["train", kind, source, "--budget", budget, "--out", out, *words], Path.cwd())
    seconds = time.monotonic() - began
    return models.load(out), seconds


def judged(model: Generator, mine: Path, others: Path) -> dict[str, float]:
    """Compares samples for the captions of `others` with these, and counts copies of `mine`."""
    sets = read(mine, model.modality), read(others, model.modality)
    seen, unseen = ([item.datum for item in found] for found in sets)
    requests = [(prompt, seed) for seed, prompt in enumerate(sets[1].prompts)]
    drawn = [o.datum for moment in model.generating(requests, tile=48) for o in moment.outputs]
    figures = fidelity.compare(drawn, unseen, seen, model.modality)
    words = [v.word for v in nearness.calibrate(seen, unseen, model.modality, sets[0].sources).verdicts(drawn)]
    keys = ("frechet_distance", "kernel_distance", "coverage")
    found = {key.replace("_", " "): figures["generated"][key] for key in keys}
    found |= {f"{key.replace('_', ' ')} - floor": figures["floor"][key] for key in keys}
    return found | {word: words.count(word) / len(words) for word in ("new", "close", "copy")}


def validation_loss(folder: Path) -> float:
    """The best validation loss of a run's last stage, which is that of the saved weights."""
    stages = json.loads((folder / "run.json").read_text())["stages"]
    return list(stages.values())[-1]["validation_loss"]


def main() -> None:
    parser = report.asking(__doc__)
    parser.set_defaults(data=emoji.CACHE)
    parser.add_argument("--only", choices=list(COUNT), help="one of the two")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--seed", type=int, default=0, help="of the trainings")
    parser.add_argument("--network", default="auto", help="the size of the network: auto, or the name of a size")
    parser.add_argument("--out", type=Path, help="folder for data and models; default: a new temporary folder")
    asked, began = parser.parse_args(), time.monotonic()
    budget, root = "40s" if asked.quick else asked.budget, asked.out or Path(tempfile.mkdtemp(prefix="septet-style-"))
    figures: list[Figure] = []
    for name, source in (("icons", thin_icons), ("pictures", flat_emoji)):
        if asked.only in (None, name):
            mine, others = split(source(asked.data), COUNT[name], root / name)
            figures.extend(compared(name, mine, others, budget, asked.seed, asked.network))
    report.answer(figures, began, asked.quick, budget=budget, out=str(root))


def compared(name: str, mine: Path, others: Path, budget: str, seed: int, network: str) -> Iterator[Figure]:
    """The figures of both runs; those from the starter are compared with those from scratch."""
    found = {}
    ways = {"from nothing": ("--from", "nothing", *SHAPED[name], f"network={network}"), "from the starter": ()}
    for way, words in list(ways.items())[: 2 if name in models.starters() else 1]:
        out = mine.parent / way.replace(" ", "-")
        model, seconds = trained(KIND[name], mine, out, budget, "--seed", seed, *words)
        started = models.card(out)["started_from"]
        if (started is None) != (way == "from nothing"):
            raise SystemExit(f"{out}: started from {started}")
        share = {"time, share of the budget": seconds / seconds_of(budget)}
        found[way] = share | {"validation loss": validation_loss(out)} | judged(model, mine, others)
    least, most = {"coverage": "at_least"}, {"frechet distance": "at_most", "kernel distance": "at_most"}
    most |= {"validation loss": "at_most"} if name == "icons" else {}
    for way, values in found.items():
        for key, value in values.items():
            demand = {}
            if key == "time, share of the budget":
                demand = {"at_most": 1.05}
            elif way == "from the starter" and key in least | most:
                demand = {(least | most)[key]: found["from nothing"][key]}
            elif key == "copy":
                demand = {"at_most": 0.05}
            yield Figure(f"{name} {way}: {key}", value, at_least=demand.get("at_least"), at_most=demand.get("at_most"))


if __name__ == "__main__":
    main()
