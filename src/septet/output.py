"""Outputs: a generated datum with its record. Generated files are written by Output.save only."""

import math
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from .contracts import Modality, Prompt
from .modalities.image import Image as Picture
from .space import Refusal
from .storage import whole
from .storage.pictures import png

MADE = Path("made")
CPU = torch.backends.cpu.get_cpu_capability()  # the instruction set in use; rounding depends on it
PREVIEW_PIXELS = 512  # of data without a size in pixels


def version() -> str:
    """The installed septet's version."""
    try:
        return metadata.version("septet")
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        return "uninstalled"


def record(model: str, model_sha256: str, prompt: Any, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The record of an output, from which it can be generated again. `prompt` is as conditioners.prompts.recorded
    returns it; `settings` are the sampling settings, and the `seconds` that sampling took."""
    used = {key: value for key, value in settings.items() if key != "seconds"}
    return {
        "septet": version(),
        "model": model,
        "model_sha256": model_sha256,
        "prompt": prompt,
        "seed": seed,
        "settings": {**used, "threads": torch.get_num_threads(), "torch": torch.__version__, "cpu": CPU},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": settings.get("seconds"),
    }


def untensored(value: Any) -> Any:
    """A decoded datum with arrays in place of tensors."""
    if isinstance(value, torch.Tensor):
        return value.cpu().numpy()
    if isinstance(value, dict):
        return {name: untensored(inner) for name, inner in value.items()}
    return type(value)(map(untensored, value)) if type(value) in (list, tuple) else value


@dataclass(frozen=True)
class Given:
    """Given content. With `where`, true where it is kept, the rest is filled in; without, `content` is continued. With
    `strength`, `content` is varied instead: near 0 hardly, at 1 it is ignored."""

    content: Any
    where: Any = None
    strength: float | None = None


def told(given: Given | None) -> dict[str, Any]:
    """The entry of a record for given content: the whole of a text, only the strength of other content."""
    if given is None:
        return {}
    whole = isinstance(given.content, str) and given.where is None
    return {"given": {"text": given.content} if whole else {"strength": given.strength}}


def checked_suffix(suffix: str | None, modality: Modality) -> str:
    """`suffix`, or the modality's first one if it is None; raises Refusal if the modality does not write such files."""
    suffix = suffix or modality.suffixes[0]
    if suffix not in modality.suffixes:
        raise Refusal(f"format {suffix}: {modality.name} is written as {', '.join(modality.suffixes)}")
    return suffix


@dataclass
class Output:
    """One datum, its record, the modality that shows and writes it, and the prompt, including content."""

    datum: Any
    record: dict[str, Any]
    modality: Modality
    prompt: Prompt = None

    @property
    def image(self) -> Image.Image:
        """The datum as a PIL picture; its preview if it is not a picture."""
        if isinstance(self.datum, Image.Image):
            return self.datum
        if isinstance(self.modality, Picture):
            return Image.fromarray(self.datum[..., 0] if self.datum.shape[2:] == (1,) else self.datum)
        return self.modality.preview(self.datum, PREVIEW_PIXELS)

    @property
    def text(self) -> str:
        """The datum if it is text; raises Refusal otherwise."""
        if not isinstance(self.datum, str):
            raise Refusal(f"this output is {self.modality.name}, not text; use .image, .datum or .save()")
        return self.datum

    def save(self, path: str | Path | None = None, suffix: str | None = None) -> Path:
        """Writes the datum with its record and returns the path. Never overwrites: without `path`, or with a folder,
        the next free MODEL-SEED is taken; a `path` that exists raises Refusal. `suffix`, one of modality.suffixes, is
        used if `path` has none."""
        suffix = checked_suffix(suffix, self.modality)
        given = None if path is None else Path(path)
        if given is None or given.is_dir():
            return self._save_free(given or MADE, suffix)
        target = given if given.suffix else given.with_name(given.name + suffix)
        if not self._place(target):
            raise Refusal(f"{target} exists and is never overwritten; choose another name")
        return target

    def _save_free(self, folder: Path, suffix: str) -> Path:
        model = re.sub(r"[^A-Za-z0-9._-]+", "-", str(self.record.get("model") or "")).strip("-.")[:64]
        name, repeat = f"{model or 'septet'}-{self.record.get('seed', 0)}", 1
        while True:
            target = folder / f"{name if repeat == 1 else f'{name}-{repeat}'}{suffix}"
            if self._place(target):
                return target
            repeat += 1

    def _place(self, target: Path) -> bool:
        """Writes to a temporary folder beside `target`, then moves the finished files; False if a name is taken."""
        if any(os.path.lexists(p) for p in (target, target.with_name(target.name + ".json"))):
            return False
        with whole.refusing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=".septet-", dir=target.parent))
            try:
                self.modality.write(self.datum, temporary / target.name, self.record)
                # The datum comes last: once its name is there, its record is there.
                written = sorted(temporary.iterdir(), key=lambda p: p.name == target.name)
                for file in written:
                    whole.sync(file)
                try:
                    os.close(os.open(target, os.O_CREAT | os.O_EXCL))  # reserves the name
                except FileExistsError:
                    return False
                try:
                    for file in written:
                        os.replace(file, target.with_name(file.name))
                    whole.sync(target.parent)
                except OSError:
                    target.unlink(missing_ok=True)
                    raise
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return True

    def _repr_png_(self) -> bytes | None:
        return None if isinstance(self.datum, str) else png(self.image)

    def _repr_html_(self) -> str:
        return self.modality.html(self.datum, PREVIEW_PIXELS)


class Outputs(list[Output]):
    """The outputs of one call, in the order of their seeds."""

    def save(self, folder: str | Path = MADE) -> list[Path]:
        """Saves each output under a free name in `folder`; returns the paths."""
        with whole.refusing(Path(folder)):
            Path(folder).mkdir(parents=True, exist_ok=True)
        return [output.save(folder) for output in self]

    def sheet(self, size: int = 128, columns: int | None = None) -> Image.Image:
        """A contact sheet, RGBA, of previews of at most size x size."""
        if not self:
            raise Refusal("there are no outputs for a contact sheet; generate at least one")
        columns = min(columns or math.ceil(math.sqrt(len(self))), len(self))
        gap = max(1, size // 16)
        rows = math.ceil(len(self) / columns)
        picture = Image.new("RGBA", (columns * (size + gap) + gap, rows * (size + gap) + gap), "white")
        for index, output in enumerate(self):
            tile = output.modality.preview(output.datum, size).convert("RGBA")
            row, column = divmod(index, columns)
            corner = (gap + column * (size + gap) + (size - tile.width) // 2, gap + row * (size + gap))
            picture.alpha_composite(tile, (corner[0], corner[1] + (size - tile.height) // 2))
        return picture

    def _repr_png_(self) -> bytes | None:
        return png(self.sheet()) if self else None
