"""The audit page of a model: all sections in order, without those that have nothing to show."""

from collections.abc import Callable, Sequence

from ..conditioners.prompts import spoken
from ..space import Refusal
from . import adherence, atlas, bias, cost, development, exposure, inside, interpolation, pairs
from .audited import Audited
from .page import Section, tile

VIEWS = (
    development.view,
    atlas.view,
    interpolation.view,
    pairs.view,
    adherence.view,
    bias.view,
    exposure.view,
    cost.view,
)
SHOWN = 24  # outputs


def sections(audited: Audited, table: Sequence[str]) -> list[Section]:
    """The sections of the page; `table` holds the lines of the quality figures."""
    modality, contents = audited.model.modality, audited.model.conditioner.contents
    first = audited.outputs[:SHOWN]
    tiles = [tile(modality, o.datum, str(spoken(o.prompt, contents) or f"seed {o.record['seed']}")) for o in first]
    prompted = any(output.record["prompt"] for output in first)
    prompts = "" if not prompted else " for held-out prompts" if len(audited.dataset) else " for words from training"
    drawn = Section("drawn", "Samples", [f"The first samples{prompts}, not selected."], tiles)
    found = [section for view in VIEWS if (section := _seen(view, audited)) is not None]
    return [
        drawn,
        *found,
        *inside.views(audited),
        Section("quality", "Quality and originality", table=table, figures=audited.figures),
    ]


def _seen(view: Callable[[Audited], Section | None], audited: Audited) -> Section | None:
    """The section of a view, or one that says why it is unavailable."""
    try:
        return view(audited)
    except Refusal as error:
        name = view.__module__.rpartition(".")[2]
        return Section(name, name.capitalize(), [f"Not available: {error}."])
