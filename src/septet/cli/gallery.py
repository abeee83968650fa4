"""septet demo: a gallery of samples from the starters and from a newly trained model, and a page that shows it with
its records."""

import html
import json
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from .. import models, runs
from ..code_completion import Completer, Index
from ..generator import Generator, Given
from ..output import Output, Outputs, record
from ..space import Refusal
from ..storage import whole
from ..text_inference.conversation import decoding_of, replying
from . import demo_pictures
from .conversing import MODEL
from .terminal import cost, say, tell
from .training import follow

ICONS = [
    *("bell off, outline", "user plus, filled", "cloud rain, outline", "folder heart, outline"),
    *("arrow down, filled", "battery charging, outline", "chat dots, filled", "map pin, outline"),
    *("clock, outline", "star, filled", "lock open, outline", "calendar check, outline"),
    *("camera, duotone", "truck, outline", "trash, filled", "music note, outline"),
]
BETWEEN = ("bell, outline", "clock, outline")
REAL = 8  # training faces that are shown
SHOWN_ABOVE, OTHERS = {"icons", "python", "prose"}, 8  # starters with a section of their own; samples of each other one
FACE = ("yellow", "smiling", "open eyes", "crown")
MOODS = [f"yellow face, {mood}, open eyes, crown" for mood in ("smiling", "laughing", "sad", "surprised")]
SMALL = {"size": demo_pictures.SIDE, "patch": 6, "width": 192, "layers": 4, "batch": 32, "average": 0.99, "fill": 0.1}
MOUTH = 14  # the row of pixels from which a face is inpainted
OPENING = "It was a bright morning, and "
QUESTION = "Give me three names for a small boat, with a word on each."
ANSWER = 96  # tokens at most
BEFORE = '''class Boat:
    """A boat with a name and a length in metres."""

    def __init__(self, name, length_metres):
        self.name = name
        '''
AFTER = "\n\n    def __repr__(self):\n        return self.name\n"
PAGE = """<!doctype html><meta charset="utf-8"><title>septet demo</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}}
.grid{{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:1rem}}
figure{{margin:0;padding:.5rem;border:1px solid #ddd;border-radius:.5rem}}
img{{width:100%;max-width:8rem;display:block;margin:auto;image-rendering:pixelated}}figcaption{{font-size:.85rem}}
pre{{white-space:pre-wrap}}details pre{{font-size:.7rem;overflow-wrap:anywhere}}</style>
<h1>Made by septet</h1><p>Every file below was generated on this machine by a model that ships with septet, or that was
downloaded. None was picked; unfold a record to see the model, prompt and seed that generate it again.
The emoji are by a model that was trained for this page.</p>{sections}
"""


def demo(out: Path, budget: str) -> None:
    began = time.time()
    sections, count = [], 0
    for title, outputs in chain(_drawn(), _learned(out, budget)):
        if isinstance(outputs, str):
            sections.append(f"<h2>{html.escape(title)}</h2>{outputs}")
            continue
        paths = [_saved(output, out) for output in outputs]
        count += len(paths)
        shown = "".join(_figure(o, p) for o, p in zip(outputs, paths, strict=True))
        sections.append(f'<h2>{html.escape(title)}</h2><div class="grid">{shown}</div>')
        tell(f"{title}: {len(paths)}")
    page = out / "index.html"
    whole.write(page, PAGE.format(sections="".join(sections)).encode())
    say(
        f"Made {count} files and {page}, a page that shows them.\nCost: {cost(began)}.",
        "generate",
        "icons",
        "bell off",
    )


def _drawn() -> Iterator[tuple[str, Outputs]]:
    ready = models.starters()
    if "icons" in ready:
        icons = models.load("icons")
        yield "Icons, one for each of sixteen prompts", icons.generate(ICONS, seed=0, tile=16)
        yield "An icon continued from its first half", _finished(icons)
        yield f"Interpolation from {' to '.join(BETWEEN)}", icons.interpolate(BETWEEN, (0, 0), frames=8)
    yield from _answered()
    if "python" in ready:
        yield "A function completed, as in an editor", _completed(models.load("python"))
    if "prose" in ready:
        yield "A text", models.load("prose").generate(given=Given(OPENING), seed=0)
    for name in sorted(set(ready) - SHOWN_ABOVE):
        model = models.load(name)
        yield f"By the starter {name}", model.generate(list(model.conditioner.examples()[:OTHERS]), seed=0)


def _answered() -> Iterator[tuple[str, Outputs]]:
    """An answer of the chat model; if it cannot be downloaded, a message, and no answer."""
    try:
        model = models.load(MODEL)
    except Refusal as error:
        tell(f"The gallery has no chat answer: {error}")
        return
    began, messages = time.time(), [{"role": "user", "content": QUESTION}]
    answer = "".join(replying(model, decoding_of(model), messages, 0, ANSWER, temperature=0.0))
    settings = {"temperature": 0.0, "length": ANSWER, "seconds": round(time.time() - began, 2)}
    told = record(model.name, model.digest, QUESTION, 0, settings)
    yield f"An answer by {model.name}", Outputs([Output(answer.strip() + "\n", told, model.modality)])


def _completed(python: Generator) -> Outputs:
    """A completion between BEFORE and AFTER."""
    began, completer = time.time(), Completer(python, Index(python.codec))
    found = completer.complete(BEFORE, AFTER, "boat.py", block=True)
    settings = {
        "after": AFTER,
        "chance": round(found.chance, 3) if found else 0,
        "seconds": round(time.time() - began, 2),
    }
    told = record(python.name, python.digest, BEFORE, 0, settings)
    return Outputs([Output(f"{BEFORE}{found.text if found else ''}{AFTER}", told, python.modality)])


def _learned(out: Path, budget: str) -> Iterator[tuple[str, Outputs | str]]:
    """Some training pictures, then samples of a model that is trained on them now."""
    folder = out / "faces"
    count, began = demo_pictures.write(folder), time.time()
    options = " ".join(f"{name}={value}" for name, value in SMALL.items())
    tell(f"Training on {count} pictures: septet train image {folder} --budget {budget} {options}")
    follow(runs.training(folder, "image_diffusion", out / "faces-model", budget=budget, began=began, **SMALL))
    model = models.load(str(out / "faces-model"))
    names = [path.name for path in sorted(folder.glob("*.png"))[:: count // REAL]][:REAL]
    real = "".join(f'<figure><img src="faces/{n}" alt=""><figcaption>{n}</figcaption></figure>' for n in names)
    yield (
        f"{len(names)} of the {count} pictures that a model is trained on in {budget}",
        f'<div class="grid">{real}</div>',
    )
    drawn = model.generate(
        list(demo_pictures.ASKED), seed=0, guidance=1.0
    )  # after so little training, guidance distorts faces
    yield "Emoji, one for each of eight prompts; none of these faces was in the training data", drawn
    above = np.arange(demo_pictures.SIDE)[:, None].repeat(demo_pictures.SIDE, 1) < MOUTH
    yield (
        f"Inpainting: a {', '.join(FACE)} keeps its upper half, its mouth is regenerated",
        model.generate(MOODS, seed=1, guidance=1.0, given=Given(np.asarray(demo_pictures.face(FACE)), where=above)),
    )


def _finished(icons: Generator) -> Outputs:
    whole = icons.generate(ICONS[2], seed=3)[0]
    half = max(1, len(whole.datum.figures) // 2)
    return icons.generate(ICONS[2], count=4, seed=4, given=_beginning(whole, half))


def _beginning(output: Output, count: int) -> Given:
    """The first `count` figures of a drawing, to be continued."""
    return Given(type(output.datum)(output.datum.figures[:count]))


def _saved(output: Output, out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    return output.save(out)


def _figure(output: Output, path: Path) -> str:
    record = html.escape(json.dumps(output.record, indent=1))
    prompt = html.escape(str(output.record["prompt"] or ""))
    if isinstance(output.datum, str) and output.datum.startswith(str(output.record["prompt"])):
        prompt = ""  # the text shows it
    shown = f'{output.modality.html(output.datum)}<a href="{html.escape(path.name)}">{html.escape(path.name)}</a>'
    details = f"<details><summary>record</summary><pre>{record}</pre></details>"
    return f"<figure>{shown}<figcaption>{prompt}{details}</figcaption></figure>"
