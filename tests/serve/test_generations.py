"""The route of every kind of content."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import MODELS, Running

from septet.serve import routes
from septet.storage.records import read_record


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running()
    yield server
    server.stop()


def asked(running: Running, **body: Any) -> tuple[int, dict[str, Any]]:
    return running.post("/v1/generations", json.dumps(body).encode())


def test_files_come_with_their_records_and_media_type(running: Running, tmp_path):
    code, found = asked(running, model="painter", n=2, seed=5)
    assert code == 200 and (found["model"], found["format"]) == ("painter", ".png")
    assert [entry["record"]["seed"] for entry in found["data"]] == [5, 6]
    assert {entry["media_type"] for entry in found["data"]} == {"image/png"}
    content = base64.b64decode(found["data"][1]["b64"])
    (tmp_path / "a").write_bytes(content)
    assert read_record(tmp_path / "a") == found["data"][1]["record"]
    [output] = MODELS["painter"]().generate(seed=6, tile=2)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), output.datum)
    code, found = asked(running, model="painter", format="webp", seed=5)
    assert code == 200 and found["data"][0]["media_type"] == "image/webp"


def test_a_text_goes_on_from_its_prompt(running: Running):
    code, found = asked(running, model="letters", prompt="abba", seed=1)
    assert code == 200 and found["data"][0]["media_type"] == "text/plain"
    assert base64.b64decode(found["data"][0]["b64"]).startswith(b"abba")
    assert found["data"][0]["record"]["settings"]["given"] == {"text": "abba"}


@pytest.mark.parametrize(
    "body, said",
    [
        ({"model": "painter", "format": "exe"}, "image is written as .png, .webp"),
        ({"prompt": "x"}, "name one of talker"),
        ({"model": "sentences"}, "which cannot generate"),
        ({"model": "painter", "n": 99}, "n: "),
    ],
)
def test_what_cannot_be_made_is_refused(body: dict[str, Any], said: str, running: Running):
    code, found = asked(running, **body)
    assert code == 400 and said in found["error"]["message"]


def test_routes_are_found_by_themselves():
    names = {use.name for use in routes.uses()}
    assert names == {"text", "fill", "infill", "chat", "embedding", "image", "generation"}
    kinds = {use.name: use.default() for use in routes.uses()}
    assert kinds["generation"] is None and kinds["image"] in ("icons", None)
