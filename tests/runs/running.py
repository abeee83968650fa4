"""Tiny runs, and what they leave behind."""

import json
from pathlib import Path
from typing import Any

import torch

from septet import models, runs

WIDE = {"width": 32, "layers": 1, "batch": 4}
TINY: dict[str, dict[str, Any]] = {
    "image_gan": {"size": 8, "width": 8, "stages": 1, "noise_size": 8, "vector": 8, "batch": 4},
    "image_gpt": {"size": 8, "codec_width": 8, "codec_share": 0.5, **WIDE},
    "text_gpt": {"tokens": "bytes", "length": 32, **WIDE},
}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return models.load(folder).state_dict()


def same(first: Path, second: Path) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]


def finish(arguments: dict[str, Any]) -> list[runs.Progress]:
    return list(runs.training(**arguments))
