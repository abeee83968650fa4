"""Checkpoints: each is a folder with a manifest, committed by one rename, without pickles."""

import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from ..space import Refusal
from ..storage import whole

STATE, FACTS = "state.safetensors", "facts.json"
log = logging.getLogger(__name__)


@contextmanager
def lock(root: Path) -> Iterator[None]:
    """Locks the run folder `root`, which is created if it does not exist. Raises Refusal if it is locked already."""
    with whole.refusing(root):
        root.mkdir(parents=True, exist_ok=True)
        (root / "lock").touch()
    with open(root / "lock", "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(20).strip() or "unknown"
            raise Refusal(f"{root}: process {holder} is training here; stop it, or choose another folder") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def commit(root: Path, step: int, tensors: dict[str, Tensor], facts: dict[str, Any], keep: int = 2) -> Path:
    """Stores a checkpoint, then removes all but the newest `keep`. Call it while holding `lock(root)`.

    Raises Refusal if the disk is full or tensors contain NaN; the older checkpoints stay.
    """
    contents = {
        STATE: whole.tensor_bytes(tensors, root),
        FACTS: json.dumps({"step": step, "facts": facts}).encode(),
    }
    name, repeat = f"step-{step:08d}", 1
    # A step that is stored again gets another name: rename cannot replace a folder that holds files.
    while (target := root / (name if repeat == 1 else f"{name}-{repeat}")).exists():
        repeat += 1
    staged = whole.stage(contents, target)
    with whole.refusing(target):
        os.rename(staged, target)  # the commit point
        whole.sync(root)
        older = [folder for folder in _newest_first(root) if folder != target]
        for folder in older[max(keep, 1) - 1 :]:
            shutil.rmtree(folder)
    return target


def latest(root: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors and facts of the newest intact checkpoint; None if there never was one.

    A damaged checkpoint is logged and renamed to corrupt-*. Raises Refusal, now and in every later call, if only
    damaged ones are left, so that no run restarts unintentionally. Call it while holding `lock(root)`.
    """
    if not root.is_dir():
        return None
    whole.sweep(root)
    for folder in _newest_first(root):
        said = whole.damage(folder, (STATE, FACTS))
        if said is None:
            try:
                facts = json.loads((folder / FACTS).read_bytes())["facts"]
                return safetensors.torch.load_file(folder / STATE), facts
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                said = str(error)
        quarantine = root / f"corrupt-{folder.name}-{time.time_ns()}"
        log.warning("checkpoint %s: %s; it is kept as %s and an older one is used", folder, said, quarantine.name)
        with whole.refusing(quarantine):
            os.rename(folder, quarantine)
            whole.sync(root)
    if any(root.glob("corrupt-*")):
        raise Refusal(f"{root}: every checkpoint is damaged (kept as corrupt-*); train without --resume to start again")
    return None


def clear(root: Path) -> None:
    """Removes every checkpoint, including damaged ones, for a run that starts again. Call it while holding the lock."""
    with whole.refusing(root):
        whole.sweep(root)
        for folder in [*root.glob("step-*"), *root.glob("corrupt-*")]:
            shutil.rmtree(folder)


def _newest_first(root: Path) -> list[Path]:
    """The checkpoints of `root` by step, then by repeat."""

    def place(folder: Path) -> tuple[int, ...]:
        return tuple(int(number) for number in folder.name.split("-")[1:])

    return sorted((p for p in root.glob("step-*") if p.name[5:].replace("-", "").isdigit()), key=place, reverse=True)


def truncate_log(path: Path, step: int) -> None:
    """Removes the rows of training.jsonl after `step`, and an incomplete last row."""
    if not path.exists():
        return
    kept: list[bytes] = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if line.endswith(b"\n") and isinstance(row, dict) and row.get("step", 0) <= step:
            kept.append(line)
    whole.write(path, b"".join(kept))


def flatten(tree: Any) -> tuple[dict[str, Tensor], Any]:
    """The tensors of a nested state by name, and a JSON skeleton with their positions.

    The types of dict keys (str, int, bool, float or None) are kept, and lists and tuples are distinguished.
    """
    tensors: dict[str, Tensor] = {}

    def visit(value: Any, name: str) -> Any:
        if isinstance(value, Tensor):
            while name in tensors:  # the keys 1 and "1", or "a/b" and "b" in "a"
                name += "'"
            tensors[name] = value
            return {"tensor": name}
        if isinstance(value, dict):
            return {"dict": [[key, visit(v, f"{name}/{key}" if name else str(key))] for key, v in value.items()]}
        if isinstance(value, list | tuple):
            items = [visit(v, f"{name}/{i}" if name else str(i)) for i, v in enumerate(value)]
            return {"tuple": items} if isinstance(value, tuple) else items
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"{name}: a checkpoint holds tensors and plain values, not {type(value).__name__}")

    return tensors, visit(tree, "")


def unflatten(tensors: dict[str, Tensor], skeleton: Any) -> Any:
    """The inverse of `flatten`."""
    if isinstance(skeleton, list):
        return [unflatten(tensors, item) for item in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    if "tensor" in skeleton:
        return tensors[skeleton["tensor"]]
    if "tuple" in skeleton:
        return tuple(unflatten(tensors, item) for item in skeleton["tuple"])
    return {key: unflatten(tensors, value) for key, value in skeleton["dict"]}
