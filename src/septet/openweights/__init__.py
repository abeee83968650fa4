"""Language models that others trained and published: Llama- and Qwen-family checkpoints as septet's own transformer."""

from pathlib import Path

from ..folders import read_json

__all__ = ["ADAPTED", "ADAPTER", "JSON_BYTES", "published"]

JSON_BYTES = 64 << 20
ADAPTED, ADAPTER = "openweights.Adapted", "adapter_model.safetensors"  # a model with adapters, and their file


def published(path: Path) -> bool:
    """Whether this is a language model that others published: a .gguf file, or a folder whose config.json names a
    `model_type`."""
    if path.is_file():
        return path.suffix == ".gguf"
    try:
        config = read_json(path / "config.json", JSON_BYTES)
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "model_type" in config and "part" not in config
