"""Images over the API: drawings rendered and pictures scaled at the size that is asked for."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image
from serving import Running

from septet import models
from septet.audits import provenance
from septet.modalities.vector import render


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running()
    yield server
    server.stop()


ICONS = pytest.mark.skipif("icons" not in models.starters(), reason="the starter icons is not in this checkout")


def drawn(running: Running, model: str, **more: Any) -> tuple[Image.Image, dict[str, Any]]:
    """A picture and its record."""
    prompt = "clock, outline" if model == "icons" else ""
    found = running.client.images.generate(model=model, prompt=prompt, extra_body={"seed": 1}, **more)
    with Image.open(io.BytesIO(base64.b64decode(found.data[0].b64_json))) as picture:
        return picture.convert("RGBA"), json.loads(picture.info["septet"])


@ICONS
def test_drawings_come_crisp_at_the_size_that_is_asked_for(running: Running, tmp_path: Path):
    model = models.load("icons")
    [output] = model.generate("clock, outline", seed=1)
    for size, side in (("256x256", 256), ("1024x1024", 1024), ("auto", 512), (None, 512)):
        picture, record = drawn(running, "icons", size=size)
        assert picture.size == (side, side) and record["prompt"] == "clock, outline"
        assert picture.tobytes() == render(output.datum, side).tobytes()
        assert record.get("size") == (size if size not in ("auto", None) else None) and "drawn_at" not in record
    wide, record = drawn(running, "icons", size="640x320", response_format="b64_json")
    whole = render(output.datum, 320)
    assert wide.size == (640, 320) and wide.crop((160, 0, 480, 320)).tobytes() == whole.tobytes()
    path = tmp_path / "wide.png"
    output.modality.write(output.datum, path, record)
    assert provenance.matches(path, output, record)  # so a record tells how to draw the same file again


def test_pictures_are_scaled_and_their_record_says_so(running: Running):
    own, record = drawn(running, "painter")
    assert own.size == (8, 8) and "size" not in record
    large, record = drawn(running, "painter", size="64x64")
    assert (record["size"], record["drawn_at"]) == ("64x64", "8x8")
    assert large.tobytes() == own.resize((64, 64), Image.Resampling.NEAREST).tobytes()
    odd, record = drawn(running, "painter", size="30x20")
    assert odd.size == (30, 20) and odd.getchannel("A").crop((0, 0, 5, 20)).getextrema() == (0, 0)
    small, _ = drawn(running, "painter", size="16x16")
    assert small.size == (16, 16)


@pytest.mark.parametrize("size", ["2049x64", "64x15", "0x0", "1e3x1e3", "512", "-64x64", "99999999x1", "٦٤x٦٤", ""])
def test_sizes_beyond_measure_are_refused(running: Running, size: str):
    with pytest.raises(openai.BadRequestError, match="expected WIDTHxHEIGHT.*16 to 2,048"):
        running.client.images.generate(model="painter", prompt="x", size=size)
