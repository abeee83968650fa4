"""Published language models: checkpoints of the Llama and Qwen families, loaded into septet's own transformer."""

from pathlib import Path
from typing import Any

from ..space import Refusal
from ..storage.references import GGUF
from ..storage.whole import read_json

__all__ = ["ADAPTED", "ADAPTER", "published", "told"]

JSON_BYTES = 64 << 20
ADAPTED = "openweights.Adapted"  # the part name of a model with adapters
ADAPTER = "adapter_model.safetensors"  # the file of their weights


def told(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file of a published model."""
    try:
        found = read_json(path, JSON_BYTES)
    except (OSError, ValueError) as error:
        raise Refusal(f"{path} cannot be read: {error}; use another copy of the model") from error
    if not isinstance(found, dict):
        raise Refusal(f"{path} holds no JSON object; use another copy of the model")
    return found


def published(path: Path) -> bool:
    """Whether `path` is a published language model: a .gguf file, or a folder whose config.json has a `model_type`."""
    if path.is_file():
        return path.suffix == GGUF
    try:
        config = read_json(path / "config.json", JSON_BYTES)
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "model_type" in config and "part" not in config
