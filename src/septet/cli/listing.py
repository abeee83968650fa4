"""septet models, recipes and show."""

from pathlib import Path

from .. import models as folders
from .. import recipes as known
from ..storage.cards import CARD
from .terminal import say, tell


def at_hand() -> list[tuple[str, str]]:
    """References to the available models, each with "starter" or "yours"."""
    found = [(name, "starter") for name in folders.starters()]
    return found + [(str(p.parent), "yours") for p in sorted(Path("models").glob("*/config.json"))]


def models() -> None:
    found = at_hand()
    for name, kind in found:
        tell(f"{name:24} {kind}")
    say(f"{len(found)} models.", *(["show", "NAME"] if found else ["train", "FOLDER", "--budget", "20m"]))


def recipes() -> None:
    lacking = known.missing()
    for name in (name for name in known.names() if name not in lacking):
        recipe = known.find(name)
        default = ", its default" if known.kinds()[known.kind_of(name)].default == name else ""
        tell(f"{name}, for {known.kind_of(name)}{default}\n    {' '.join((recipe.__doc__ or '').split())}")
        tell("    " + " ".join(f"{option}={value}" for option, value in known.options(recipe).items()))
    for sentence in lacking.values():
        tell(f"{sentence}.")
    say("Give options after the folder.", "train", "image", "FOLDER", "size=48", "--budget", "20m")


def show(reference: str) -> None:
    folder = folders.resolve(reference)
    model = folders.load(reference)
    parts = ", ".join(type(p).__name__ for p in (model.modality, model.codec, model.process, model.conditioner))
    tell(f"{folder.name}: {model.size:,} parameters in {parts}; generates {model.process.space}.")
    tell(f"Settings: {model.settings}. SHA-256 {model.digest}.\n")
    told = folder / CARD
    tell(
        told.read_text(encoding="utf-8", errors="replace")
        if told.is_file()
        else "Published elsewhere, without a model card."
    )
    say("", "generate", reference)
