"""Atomic writes of files and folders, and folders with a manifest that reveals later changes."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import safetensors.torch
import torch
from torch import Tensor

from ..space import Refusal

MANIFEST = "manifest.json"
FORMAT = 1  # of the manifest
NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}")
MANIFEST_BYTES = 1 << 20


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Converts an OSError (disk full, read-only, no permission) to a Refusal that names `path`."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        way_out = "free some space or write elsewhere" if full else "check the path and its permissions"
        culprit = "" if error.filename in (None, str(path)) else f" ({error.filename})"
        raise Refusal(f"cannot write {path}: {error.strerror or error}{culprit}; {way_out}") from error


def sync(path: Path) -> None:
    """Waits until a file, or the list of names in a folder, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes) -> None:
    """Writes a file atomically, replacing an existing one."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with refusing(path):
        try:
            temporary.write_bytes(content)
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def stage(contents: Mapping[str, bytes], target: Path) -> Path:
    """Writes a temporary folder beside `target`, with `contents` and their manifest, which the caller renames."""
    for name in contents:
        if not NAME.fullmatch(name) or name == MANIFEST:
            raise Refusal(f"file name {name!r}: letters, digits, '.', '_' and '-' only, at most 64, not {MANIFEST}")
    temporary = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    with refusing(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            for name, content in {**contents, MANIFEST: manifest_of(contents)}.items():
                (temporary / name).write_bytes(content)
                sync(temporary / name)
            sync(temporary)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return temporary


def sweep(parent: Path, name: str = "*") -> None:
    """Removes temporary files and folders that killed writers of `name` left behind in `parent`."""
    for left in parent.glob(f".{name}.tmp-*"):
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink(missing_ok=True)


def manifest_of(contents: Mapping[str, bytes]) -> bytes:
    """The content of manifest.json for these files."""
    entries = {n: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for n, c in contents.items()}
    return manifest_text(entries)


def manifest_text(entries: Mapping[str, Mapping[str, Any]]) -> bytes:
    return (json.dumps({"format": FORMAT, "files": entries}, indent=1) + "\n").encode()


def read_json(path: Path, limit: int) -> Any:
    """Reads strict JSON of at most `limit` bytes. Also raises ValueError for NaN, repeated keys and deep nesting."""

    def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key occurs twice")
        return dict(pairs)

    def constant(text: str) -> NoReturn:
        raise ValueError(f"{text} is not a number")

    def finite(text: str) -> float:
        return float(text) if math.isfinite(float(text)) else constant(text)

    if path.stat().st_size > limit:
        raise ValueError(f"more than {limit} bytes")
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=unrepeated, parse_constant=constant, parse_float=finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Reads the entries of a folder's manifest. Raises ValueError if it is invalid."""
    found = read_json(folder / MANIFEST, MANIFEST_BYTES)
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        raise ValueError("it lists no files")
    if found.get("format") != FORMAT:
        raise ValueError(f"format {found.get('format')!r}, this septet reads {FORMAT}: a newer septet may be needed")
    for name, entry in found["files"].items():
        if not NAME.fullmatch(name) or name == MANIFEST:
            raise ValueError(f"the file name {name[:80]!r} is not allowed")
        if not isinstance(entry, dict) or not {"sha256", "bytes"} <= set(entry):
            raise ValueError(f"its entry for {name} lacks sha256 or bytes")
    return found["files"]


def damage(folder: Path, required: Collection[str]) -> str | None:
    """A description of the first difference from the manifest; None if there is none and all `required` files exist."""
    if not (folder / MANIFEST).is_file():
        return f"{MANIFEST} is missing"
    try:
        entries = manifest(folder)
        missing = [n for n in required if n not in entries] + [n for n in entries if not os.path.lexists(folder / n)]
        if missing:
            return f"{missing[0]} is missing"
        return next((said for name, entry in entries.items() if (said := _difference(folder, name, entry))), None)
    except (OSError, ValueError) as error:
        return f"{MANIFEST} or a file it lists cannot be read ({error})"


def _difference(folder: Path, name: str, entry: Mapping[str, Any]) -> str | None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        return f"{name} is a link that leads out of the folder"
    if not path.is_file():
        return f"{name} is not a file"
    if path.stat().st_size != entry["bytes"]:
        return f"{name} has {path.stat().st_size} bytes, but the manifest says {entry['bytes']}"
    with open(path, "rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"]
    return None if same else f"{name} does not match its SHA-256: it was damaged or changed"


def previous(folder: Path) -> Path:
    """The name of the old version of a folder while a new one replaces it."""
    return folder.with_name(f".{folder.name}.previous")


def foreign(folder: Path) -> set[str]:
    """The names in a folder that its manifest does not list, which a new version must keep."""
    if not folder.is_dir():
        return set()
    try:
        own = {MANIFEST, *manifest(folder)}
    except (OSError, ValueError):
        own = set()
    return {path.name for path in folder.iterdir()} - own


def swap(staged: Path, folder: Path) -> None:
    """Replaces `folder` by a staged one. The old version is removed last, and restored if the replacement fails."""
    aside = previous(folder)
    with refusing(folder):
        try:
            if folder.exists():
                os.rename(folder, aside)
            os.rename(staged, folder)
        except OSError:
            shutil.rmtree(staged, ignore_errors=True)
            if aside.exists() and not folder.exists():
                os.rename(aside, folder)
            raise
        sync(folder.parent)
    recover(folder)


def recover(folder: Path) -> None:
    """Completes a save of `folder` that was killed. Call this before looking for anything in the folder."""
    aside = previous(folder)
    if not aside.is_dir():
        return
    with refusing(folder):
        if not folder.exists():
            os.rename(aside, folder)
            return
        whole = (folder / MANIFEST).exists()
        # Without a manifest, `folder` was created after the kill: all of the old version moves back, the manifest last.
        moving = foreign(aside) if whole else [p.name for p in aside.iterdir()]
        for name in sorted(moving, key=lambda name: name == MANIFEST):
            if not os.path.lexists(folder / name):
                os.rename(aside / name, folder / name)
        rest = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
        os.rename(aside, rest)  # from here on, `sweep` completes an interrupted removal
        shutil.rmtree(rest)
        sync(folder.parent)


def tensor_bytes(tensors: Mapping[str, Tensor], path: Path, told: dict[str, str] | None = None) -> bytes:
    """The content of a safetensors file, with `told` as metadata in its header; tensors that share memory are stored
    separately. Raises Refusal for NaN or infinity."""
    stored: dict[str, Tensor] = {}
    memories: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise Refusal(f"{path}: {name} holds NaN or infinity and was not saved; lower the learning rate")
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        stored[name] = tensor.clone() if memory in memories else tensor
        memories.add(memory)
    return safetensors.torch.save(stored, told)
