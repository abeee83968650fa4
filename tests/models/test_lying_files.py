"""Files that claim more than they hold are refused before anything is built of what they claim."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from septet import models
from septet.part import Part
from septet.space import Refusal
from septet.storage import whole

WIDE = 50_000_000


class Wide(Part, nn.Module):
    """A weight, and what is worked out from the same argument; notes where each was built."""

    built: list[str] = []

    def __init__(self, width: int, reach: int = 4):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.register_buffer("ramp", torch.arange(reach), persistent=False)
        Wide.built += [f"{self.gain.device.type} {width} {reach}"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.save(Wide(4), tmp_path / "m", card={"name": "wide"})
    Wide.built.clear()
    return tmp_path / "m"


def rewritten(folder: Path, arguments: dict[str, Any], change: Callable[[dict], object] = bool) -> None:
    """Another config and another table of the weights, and a manifest that fits them."""
    content = (folder / "model.safetensors").read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    table = json.loads(content[8:end])
    change(table["gain"])
    head = json.dumps(table).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + content[end:])
    tree = json.loads((folder / "config.json").read_text())
    tree["arguments"] |= arguments
    (folder / "config.json").write_text(json.dumps(tree))
    contents = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != whole.MANIFEST}
    (folder / whole.MANIFEST).write_bytes(whole.manifest_of(contents))


LIES: dict[str, Callable[[dict], object]] = {
    "shape": lambda entry: entry.update(shape=[WIDE]),
    "shape and offsets": lambda entry: entry.update(shape=[WIDE], data_offsets=[0, 4 * WIDE]),
    "gap": lambda entry: entry.update(shape=[WIDE], data_offsets=[4, 4 * WIDE]),
    "overflow": lambda entry: entry.update(shape=[2**62, 8]),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_table_that_claims_more_than_the_file_holds_builds_nothing(folder: Path, lie: str):
    rewritten(folder, {"width": WIDE}, LIES[lie])
    with pytest.raises(Refusal, match="is not a safetensors file: its header cannot be read"):
        models.load(folder, parts=[Wide])
    assert not Wide.built


def test_a_config_that_asks_for_more_than_the_weights_hold_is_at_most_sketched(folder: Path):
    rewritten(folder, {"width": WIDE})
    with pytest.raises(Refusal, match="needs far more than model.safetensors holds"):
        models.load(folder, parts=[Wide])
    assert not Wide.built
    rewritten(folder, {"width": 5})
    with pytest.raises(Refusal, match="the weight gain has shape"):
        models.load(folder, parts=[Wide])
    assert Wide.built == ["meta 5 4"]


def test_a_config_that_asks_for_far_more_beside_the_weights_is_only_sketched(folder: Path):
    rewritten(folder, {"reach": WIDE})
    with pytest.raises(Refusal, match="needs 400,000,000 bytes of buffers besides the weights"):
        models.load(folder, parts=[Wide])
    assert Wide.built == [f"meta 4 {WIDE}"]
    rewritten(folder, {"reach": 1000})
    assert len(models.load(folder, parts=[Wide]).ramp) == 1000
