"""Reads weights from safetensors files, after comparing them with what the model's config describes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..space import Refusal
from .references import is_pickle

HEADER_BYTES = 16 << 20
BESIDE_BYTES = 64 << 20  # limit on buffers that are computed instead of stored
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "BOOL": torch.bool}
DTYPES |= {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8}


def header(path: Path) -> dict[str, dict[str, Any]]:
    """Shapes and types of the tensors in a safetensors file, without reading any. Checks the header's size and that all
    tensors lie within the file, so that a model built from the header is no larger than the file."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if is_pickle(path):
        raise Refusal(f"{path} is a pickle, which can run code and is never read; use safetensors")
    if not 2 <= size <= min(HEADER_BYTES, path.stat().st_size - 8):
        raise Refusal(f"{path} is not a safetensors file: its header declares {size} bytes")
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {n: {"shape": tuple(s.get_shape()), "dtype": DTYPES[s.get_dtype()]} for n, s in slices.items()}
    except (SafetensorError, OSError, LookupError) as error:
        raise Refusal(f"{path} is not a safetensors file: its header cannot be read ({error})") from error


def read(path: Path) -> dict[str, Tensor]:
    """Reads all tensors, by name. Raises Refusal if one holds NaN or infinity."""
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
    """Raises Refusal if names, shapes or kinds of types in `header`, that of `file`, differ from `state`, which the
    config of `folder` describes."""
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


def check_beside(sketch: nn.Module, folder: Path) -> None:
    """Raises Refusal if a config describes very large buffers that are computed instead of stored, such as tables of
    sines."""
    kept = sketch.state_dict()
    beside = sum(buffer.nbytes for name, buffer in sketch.named_buffers() if name not in kept)
    if beside > BESIDE_BYTES:
        raise Refusal(
            f"{folder}: config.json needs {beside:,} bytes of buffers besides the weights, more than the limit of "
            f"{BESIDE_BYTES:,}; use another copy of the model"
        )
