"""Audit pages: sentences first, figures folded, everything in one HTML file."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from ..contracts import Modality
from ..output import version
from ..space import Refusal
from ..storage import whole

PAGE, REPORT = "index.html", "report.json"
TILE = 160  # pixels of a preview


@dataclass(frozen=True)
class Tile:
    """Self-contained HTML, or "" to show nothing, and the caption below it."""

    shown: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of a page. `strips` are rows of tiles that are aligned below one another, `frames` tiles under a slider,
    `chart` an SVG, `map` one whose dots show their pictures, `table` monospaced lines; `bars` are (label, share of the
    full width, text); `marked` are pieces of a text and whether each is marked; `figures` are written to report.json
    under `name`."""

    name: str
    title: str
    sentences: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    strips: Sequence[Sequence[Tile]] = ()
    frames: Sequence[Tile] = ()
    chart: str = ""
    map: str = ""
    table: Sequence[str] = ()
    bars: Sequence[tuple[str, float, str]] = ()
    marked: Sequence[tuple[str, bool]] = ()
    figures: Any = field(default_factory=dict)


def tile(modality: Modality, datum: Any, caption: str, size: int = TILE) -> Tile:
    """A datum, shown or played, with a caption."""
    return Tile(modality.html(datum, size), caption)


def item(
    modality: Modality,
    source: Path | None,
    name: str,
    caption: str,
    known: Callable[[Any], bool] = lambda datum: True,
) -> Tile:
    """A datum of a folder; only its caption if the file no longer exists or the datum is not `known`."""
    try:
        if source is not None:
            path = source / name if source.is_dir() else source
            if path.resolve().is_relative_to(source.resolve()):  # names may come from an untrusted model folder
                datum = modality.read(path)
                return tile(modality, datum, caption) if known(datum) else Tile("", caption)
    except (Refusal, OSError, ValueError):
        pass
    return Tile("", caption)


def write(folder: Path, title: str, lead: Sequence[str], sections: Sequence[Section]) -> Path:
    """Writes index.html, and report.json with the same sentences and figures, to a folder; returns the page's path."""
    shown = [
        {**vars(s), "figures": json.dumps(s.figures, indent=1, ensure_ascii=False) if s.figures else ""}
        for s in sections
    ]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(files("septet.audits").joinpath("page.html").read_text(encoding="utf-8"))
    scripted = any(section.frames or section.map for section in sections)
    page = template.render(title=title, lead=list(lead), sections=shown, version=version(), scripted=scripted)
    written = {
        s.name: {"sentences": list(s.sentences), **({"figures": s.figures} if s.figures else {})} for s in sections
    }
    report = {"septet": version(), "title": title, "sentences": list(lead), **written}
    with whole.refusing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    whole.write(folder / REPORT, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode(errors="replace"))
    whole.write(folder / PAGE, page.encode(errors="replace"))
    return folder / PAGE
