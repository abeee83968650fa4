"""Saves and loads models: folders that are written atomically, verified before use, and loaded without a recipe."""

import functools
import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from . import openweights
from .output import version
from .part import Part, assets, build, describe
from .space import Refusal
from .storage import weights, whole
from .storage.cards import CARD, card, card_text
from .storage.references import PICKLES, at_hand, find_part, resolve, starters

__all__ = ["attach", "card", "config", "digest", "find_part", "load", "resolve", "save", "starters", "verify"]

WEIGHTS, CONFIG, LOG, AUDIT = "model.safetensors", "config.json", "training.jsonl", "audit.json"
# Files about a model, which do not change what it generates.
TOLD = (CARD, LOG, AUDIT, "run.json", "previews.png", "evidence.safetensors")
CONFIG_BYTES = 16 << 20
PARAMETERS = 2_000_000_000  # the most that a config may describe
LEAST = 20_000  # parameters that a smaller tensor counts as, since creating a tensor takes time


def save(
    model: nn.Module,
    folder: str | Path,
    *,
    card: Mapping[str, Any],
    log: Path | None = None,
    files: Mapping[str, str | bytes] | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Saves `model` (a Part) to `folder`, replacing a model there. Other files in the folder are kept.

    `card`: facts for README.md, see cards.card_text. `log`: a training.jsonl to copy. `files`: further files by name
    (audit.json). `dtype`: the type in which floating-point weights are stored. Raises Refusal, leaving a previous model
    intact, if the disk is full or weights are not finite.
    """
    folder = Path(folder).resolve()
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"{folder} is a file; choose another folder for the model")
    whole.recover(folder)
    texts = {CARD: card_text(card), **(files or {})}
    contents = {name: text if isinstance(text, bytes) else text.encode() for name, text in texts.items()}
    contents |= _own_files(model, dtype, folder)
    if log is not None and log.exists():
        contents[LOG] = log.read_bytes()
    refuse_foreign(folder, contents)
    with whole.refusing(folder):
        whole.sweep(folder.parent, folder.name)
    whole.swap(whole.stage(contents, folder), folder)
    return folder


def refuse_foreign(folder: Path, names: Collection[str]) -> None:
    """Raises Refusal if one of `names` is a file in `folder` that is not part of a septet model."""
    clash = sorted(whole.foreign(folder) & set(names))
    if clash:
        raise Refusal(f"{folder} holds a {clash[0]} that is not part of a septet model; choose another folder")


def _own_files(model: nn.Module, dtype: torch.dtype | None, folder: Path) -> dict[str, bytes]:
    """The contents of the files from which the model is rebuilt: config, weights and assets."""
    if getattr(model, "base", None) is not None:
        from .openweights import adapted

        return adapted.files(cast(Any, model), version())
    tensors = _distinct(model)
    if dtype is not None:
        tensors = {name: t.detach().to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}
    named = {name: asset.content.encode() for name, asset in assets(model).items()}
    return named | {CONFIG: _config_text(model).encode(), WEIGHTS: whole.tensor_bytes(tensors, folder)}


def _distinct(model: nn.Module) -> dict[str, Tensor]:
    """The state dict in which tied weights appear once, under their first name."""
    state: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        state.setdefault(id(tensor), (name, tensor))
    return dict(state.values())


def _config_text(model: nn.Module) -> str:
    try:
        return json.dumps({"septet": version(), **describe(model)}, indent=1, allow_nan=False) + "\n"
    except ValueError as error:
        raise Refusal(f"the model's arguments hold NaN or infinity, which config.json cannot: {error}") from error


def load(reference: str | Path, *, parts: Sequence[type[Part]] = (), device: str | torch.device = "cpu") -> Any:
    """Loads the model with a reference (see `resolve`), in evaluation mode on `device`.

    Files are not trusted: hashes, names, sizes, shapes and finiteness are checked before use. Part names refer to
    classes in septet's part packages or in `parts`. Raises Refusal on every failure.
    """
    folder = resolve(reference)
    if openweights.published(folder):
        return _published(reference, folder).to(device)
    entries = verify(folder)
    tree = {key: value for key, value in config(folder).items() if key != "septet"}
    if tree["part"] == openweights.ADAPTED:
        return _adapted(folder, tree["arguments"]).to(device)

    @functools.cache
    def find(name: str) -> type[Part]:
        return find_part(name, parts)

    def read(name: str) -> str:
        if name not in entries:
            raise Refusal(f"{folder}: {CONFIG} asks for {str(name)[:80]!r}, which is not listed in the manifest")
        return (folder / name).read_text(encoding="utf-8")

    header = weights.header(folder / WEIGHTS)
    with torch.device("meta"), _bounded(folder, header):
        sketch = _built(tree, find, read, folder)
    weights.check(header, _distinct(sketch), folder)
    weights.check_beside(sketch, folder)
    with torch.random.fork_rng(devices=[]):  # initialisation must not change the caller's random state
        model: Any = _built(tree, find, read, folder)
    state = weights.read(folder / WEIGHTS)
    model.load_state_dict(state, strict=False)  # tied weights are stored once; weights.check has compared the others
    if hasattr(model, "digest"):  # a Generator, which writes both to its records
        model.name, model.digest = folder.name, digest(folder)
    return model.to(device).eval()


def _published(reference: str | Path, folder: Path) -> Any:
    from .openweights import reading, sentences  # imported here, since only published models need them

    if sentences.encodes(folder):
        raise Refusal(f"{reference} is a sentence encoder, which cannot generate text; use it with septet.embed")
    model = reading.read(folder)
    model.reference = str(reference) if ":" in str(reference) else str(folder.resolve())
    return model


def _adapted(folder: Path, arguments: dict[str, Any]) -> Any:
    from .openweights import adapted

    def whole(reference: str) -> Any:
        below = at_hand(reference)
        if openweights.published(below):
            return _published(reference, below)
        if config(below)["part"] == openweights.ADAPTED:
            raise Refusal("it holds adapters itself, not a complete model")
        return load(below)

    model = adapted.read(folder, arguments, whole)
    model.name, model.digest = folder.name, digest(folder)
    return model


def verify(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the entries of a model folder's manifest. Raises Refusal if the folder is incomplete or damaged."""
    name = openweights.ADAPTER if (folder / openweights.ADAPTER).is_file() else WEIGHTS
    said = whole.damage(folder, (name, CONFIG))
    if said is None:
        return whole.manifest(folder)
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles and not (folder / WEIGHTS).exists():
        raise Refusal(f"{folder} holds {pickles[0]}, a pickle, which can run code and is never read; use safetensors")
    raise Refusal(f"{folder} is not a complete model: {said}; use another copy or train it again")


def config(folder: str | Path) -> dict[str, Any]:
    """Reads config.json: the tree of constructors, and under "septet" the version that wrote it."""
    path = Path(folder) / CONFIG
    try:
        tree = whole.read_json(path, CONFIG_BYTES)
        if not isinstance(tree, dict) or not {"part", "version", "arguments"} <= set(tree):
            raise ValueError("it does not describe a part")
        return tree
    except (OSError, ValueError) as error:
        raise Refusal(f"{path} is not the config of a septet model: {error}") from error


def _check_versions(tree: Any, find: Callable[[str], type[Part]], folder: Path) -> None:
    """Raises Refusal if a part is unknown or newer than this septet."""
    if isinstance(tree, dict) and set(tree) == {"part", "version", "arguments"}:
        known = find(tree["part"]).version
        if not isinstance(tree["version"], int) or tree["version"] > known:
            newer = f"{tree['part']} version {tree['version']!r}, and this septet has version {known}"
            raise Refusal(f"{folder} was saved by a newer septet: it needs {newer}; pip install --upgrade septet")
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        _check_versions(inner, find, folder)


@contextmanager
def _bounded(folder: Path, header: Mapping[str, dict[str, Any]]) -> Iterator[None]:
    """Raises Refusal as soon as building a config creates far more parameters than the weights file holds; some more
    are allowed, since tied weights are created more than once."""
    held, total = sum(max(math.prod(entry["shape"]), LEAST) for entry in header.values()), 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal total
        if parameter is not None:
            total += max(parameter.numel(), LEAST)
        if total > min(PARAMETERS, 4 * held):
            raise Refusal(f"{folder}: {CONFIG} needs far more than {WEIGHTS} holds; use another copy of the model")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _built(tree: Any, find: Callable[[str], type[Part]], read: Callable[[str], str], folder: Path) -> nn.Module:
    try:
        _check_versions(tree, find, folder)
        model = build(tree, find, read)
    except Refusal:
        raise
    except Exception as error:  # untrusted values reach every constructor
        raise Refusal(f"{folder}: {CONFIG} does not build: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise Refusal(f"{folder}: {CONFIG} describes a {type(model).__name__}, which is not a model")
    return model


def digest(folder: str | Path) -> str:
    """A hash, 16 hex digits, of what determines a model's outputs: weights, config and assets, without card or log."""
    try:
        entries = whole.manifest(Path(folder))
    except (OSError, ValueError) as error:
        raise Refusal(f"{folder} is not a septet model: {error}") from error
    lines = [f"{name} {entry['sha256']}\n" for name, entry in sorted(entries.items()) if name not in TOLD]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def attach(folder: Path, name: str, content: str) -> None:
    """Adds or replaces a text file (audit.json) in a model folder; if killed at any moment, the model still loads."""
    if name in (WEIGHTS, CONFIG, whole.MANIFEST):
        raise Refusal(f"{name} is the model itself; save the model instead")
    entries = {n: entry for n, entry in verify(folder).items() if n != name}
    whole.write(folder / whole.MANIFEST, whole.manifest_text(entries))
    whole.write(folder / name, content.encode())
    added = {"sha256": hashlib.sha256(content.encode()).hexdigest(), "bytes": len(content.encode())}
    whole.write(folder / whole.MANIFEST, whole.manifest_text({**entries, name: added}))
