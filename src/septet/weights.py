"""A safetensors file of weights, believed only where it agrees with what the model's config describes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from .references import is_pickle
from .space import Refusal

HEADER_BYTES = 16 << 20
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "BOOL": torch.bool}
DTYPES |= {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8}


def header(path: Path) -> dict[str, dict[str, Any]]:
    """A safetensors file's table, read before the file is parsed, with a cap of its own."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if is_pickle(path):
            raise Refusal(f"{path} is a pickle, which can run code and is never read; use safetensors")
        if not 2 <= size <= min(HEADER_BYTES, path.stat().st_size - 8):
            raise Refusal(f"{path} is not a safetensors file: its header claims {size} bytes")
        try:
            table = json.loads(file.read(size))
            table.pop("__metadata__", None)
            return {n: {"shape": tuple(e["shape"]), "dtype": DTYPES[e["dtype"]]} for n, e in table.items()}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise Refusal(f"{path} is not a safetensors file: its header cannot be read ({error})") from error


def read(path: Path) -> dict[str, Tensor]:
    """All tensors by name, finite."""
    try:
        found = safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise Refusal(f"{path} cannot be read: {error}; use another copy of the model") from error
    for name, tensor in found.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise Refusal(f"{path.parent}: the weight {name} holds NaN or infinity; use another copy of the model")
    return found


def check(
    header: Mapping[str, dict[str, Any]], state: Mapping[str, Tensor], folder: Path, file: str = "model.safetensors"
) -> None:
    """Refuses a table, that of `file`, that has not the names, shapes and kinds of `state`, what the config of `folder`
    describes."""
    for name in sorted({*header, *state}):
        if name not in header or name not in state:
            where = file if name not in header else "config.json"
            raise Refusal(f"{folder}: the weight {name} is missing from {where}; use another copy of the model")
        found, expected = header[name], state[name]
        if found["shape"] != tuple(expected.shape):
            shapes = f"{found['shape']} where config.json says {tuple(expected.shape)}"
            raise Refusal(f"{folder}: the weight {name} has shape {shapes}; use another copy of the model")
        if found["dtype"] != expected.dtype and not (found["dtype"].is_floating_point and expected.is_floating_point()):
            types = f"{found['dtype']} where config.json says {expected.dtype}"
            raise Refusal(f"{folder}: the weight {name} is {types}; use another copy of the model")
