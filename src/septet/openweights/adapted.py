"""A published model with LoRA adapters, saved as a folder of a few megabytes: PEFT's two files and a reference to the
base model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..backbones import adapters
from ..backbones.transformer import Transformer
from ..generator import Generator
from ..part import describe
from ..processes.settings import own
from ..space import Refusal
from ..storage import weights
from . import ADAPTED, ADAPTER, writing
from .architectures import HUGGING_FACE, renamed

LORA = {"lora_A": "down", "lora_B": "up"}  # PEFT's names to septet's


def begun(base: Generator, rank: int, alpha: float, dropout: float = 0.0) -> Generator:
    """Adds new adapters to a model. From now on, only the adapters are trained and saved."""
    process, _ = writing.parts_of(base)
    assert isinstance(process.backbone, Transformer)
    adapters.attach(base, process.backbone, rank, alpha, dropout)
    base.base, base.grid = {"reference": base.reference, "digest": base.digest, "rank": rank, "alpha": alpha}, None
    return base


def files(model: Generator, version: str) -> dict[str, bytes]:
    """Returns the contents of config.json, which refers to the base model, and of PEFT's two files."""
    assert model.base is not None
    arguments = {"base": model.base, "modality": describe(model.modality), "settings": model.settings}
    tree = {"septet": version, "part": ADAPTED, "version": 1, "arguments": arguments}
    return {"config.json": json.dumps(tree, indent=1).encode()} | writing.peft_files(model, model.base["reference"])


def read(folder: Path, arguments: dict[str, Any], load: Callable[[str], Generator]) -> Generator:
    """Loads the base model by its reference and adds the adapters in `folder`."""
    told = arguments.get("base") if isinstance(arguments, dict) else None
    kinds = {"reference": str, "digest": str, "rank": int, "alpha": float | int}
    if not isinstance(told, dict) or not all(isinstance(told.get(name), kind) for name, kind in kinds.items()):
        raise Refusal(f"{folder} does not name the model that its adapters belong to; use another copy")
    try:
        base = load(told["reference"])
    except Refusal as error:
        raise Refusal(f"{folder} holds adapters of {told['reference']}, which cannot be read: {error}") from error
    if base.digest != told["digest"]:
        raise Refusal(
            f"{folder} holds adapters of {told['reference']} as it was ({told['digest']}); it has changed since"
        )
    found = _weights(folder)
    header = {name: {"shape": tuple(tensor.shape), "dtype": tensor.dtype} for name, tensor in found.items()}
    with torch.device("meta"):
        model = begun(base, told["rank"], float(told["alpha"]))
    weights.check(header, model.state_dict(), folder, ADAPTER)
    model.load_state_dict(found, assign=True)
    model.settings = own(model.process, arguments.get("settings") or model.settings)
    return model.eval()


def _weights(folder: Path) -> dict[str, Tensor]:
    """The adapters' weights by septet's names."""
    stored = weights.read(folder / ADAPTER)
    found = {}
    for name, tensor in stored.items():
        stem, _, kind = name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        own = renamed(f"{stem}.weight", HUGGING_FACE)
        if own is None or kind not in LORA:
            raise Refusal(f"{folder}: {ADAPTER} holds {name[:80]!r}, which is not the name of a supported adapter")
        found[f"process.{own.removesuffix('weight')}{LORA[kind]}.weight"] = tensor.float()
    return found
