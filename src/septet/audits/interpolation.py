"""Section of the audit page: an interpolation between two outputs."""

from PIL import Image

from ..conditioners.prompts import spoken
from ..originality.nearness import Calibration
from ..space import Refusal
from ..storage.pictures import shown
from .audited import Audited
from .page import TILE, Section, Tile, item, tile

FRAMES = 7


def view(audited: Audited) -> Section | None:
    """An interpolation from one seed to another, above a cross-fade of the two pictures and the nearest training items;
    None for text, and if the process cannot interpolate."""
    model = audited.model
    if not audited.outputs or isinstance(audited.outputs[0].datum, str):
        return None
    prompt, seed = audited.outputs[0].prompt, audited.outputs[0].record["seed"]
    try:
        frames = model.interpolate((prompt, prompt), (seed, seed + 1), FRAMES)
    except Refusal:
        return None
    words = spoken(prompt, model.conditioner.contents)
    drawn = [tile(model.modality, output.datum, f"{k / (FRAMES - 1):.0%}") for k, output in enumerate(frames)]
    first, last = (model.modality.preview(frames[k].datum, TILE).convert("RGBA") for k in (0, -1))
    last = last.resize(first.size)
    faded = [Tile(shown(Image.blend(first, last, k / (FRAMES - 1))), "cross-fade") for k in range(FRAMES)]
    strips = [drawn, faded]
    if isinstance(audited.evidence, Calibration):
        names = [audited.evidence.nearest(output.datum, 1)[0][0] for output in frames]
        strips.append([item(model.modality, audited.source, name, f"nearest: {name}") for name in names])
    sentences = [
        f"From seed {seed} to seed {seed + 1}{f', both for {words!r}' if words else ''}.",
        "A model that generalises generates a plausible item at each step; one that has memorised items jumps from one "
        "to another. A cross-fade of pixels, for comparison, shows both at once.",
    ]
    return Section("between", "Between two outputs", sentences, strips=strips)
