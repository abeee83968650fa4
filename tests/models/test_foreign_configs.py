"""Whatever a config or a record from elsewhere says in a field, the answer is a sentence."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from talkers import filler

from septet import models
from septet.space import Refusal
from septet.storage.whole import MANIFEST, stage, swap


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return models.save(filler(64), tmp_path_factory.mktemp("whole") / "m", card={"name": "filler"})


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    contents = {path.name: path.read_bytes() for path in whole.iterdir() if path.name != MANIFEST}
    swap(stage(contents, tmp_path / "m"), tmp_path / "m")
    return tmp_path / "m"


def rewritten(folder: Path, **arguments: Any) -> None:
    """Other arguments of the Generator in its config."""
    tree = json.loads((folder / "config.json").read_text())
    tree["arguments"] |= arguments
    contents = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
    swap(stage(contents | {"config.json": json.dumps(tree).encode()}, folder), folder)


@pytest.mark.parametrize(
    "settings, said",
    [
        ([1], "settings are not a dict of names and values"),
        ("hot", "settings are not a dict of names and values"),
        (5, "settings are not a dict of names and values"),
        ({"temperature": "hot"}, "temperature=hot: expected a finite"),
        ({"temperature": [1]}, r"temperature=\[1\]: expected a finite"),
        ({"temperature": True}, "temperature=True: expected a finite"),
        ({"top_k": 1.5}, "top_k=1.5: expected a finite"),
        ({"temperature": "\x1b[2J" * 99}, "temperature=.{,999}: expected a finite"),
    ],
)
def test_settings_that_are_none(folder: Path, settings: Any, said: str):
    rewritten(folder, settings=settings)
    with pytest.raises(Refusal, match=said) as refused:
        models.load(folder)
    assert "\x1b" not in str(refused.value) and "another copy" in str(refused.value)


def test_settings_of_another_process_are_left_alone(folder: Path):
    rewritten(folder, settings={"temperature": None, "steps": 3, "self": 1, "length": 5})
    model = models.load(folder)
    assert model.generate(seed=1)[0].record["settings"]["length"] == 5


@pytest.mark.parametrize("name", ["self", "requests", "known", "other\x07"])
def test_a_name_of_no_setting_is_refused(whole: Path, name: str):
    shown = {"other\x07": repr("other\x07")}.get(name, name)
    with pytest.raises(Refusal, match=f"{re.escape(shown)}=1: Autoregressive takes .*temperature, "):
        list(models.load(whole).generating([(None, 1)], **{name: 1}))


@pytest.mark.parametrize("part", ["modality", "codec", "process", "conditioner"])
@pytest.mark.parametrize("value", [5, None, "words", {"part": "backbones.Transformer"}])
def test_a_part_of_another_kind_is_refused(folder: Path, part: str, value: Any):
    if isinstance(value, dict):
        value = value | {"version": 1, "arguments": {"width": 32, "layers": 1, "heads": 2}}
    rewritten(folder, **{part: value})
    with pytest.raises(Refusal, match=f"{part} is not of type {part.capitalize()}"):
        models.load(folder)


@pytest.mark.parametrize(
    "codec, said",
    [
        ({"length": 10**9}, "at most 4,194,304 sites"),
        ({"length": "long"}, "length is not of type int"),
        ({"markers": {"prefix": 1}, "symbols": 261}, "the token that ends a text"),
        ({"markers": {"end": 10**9}, "symbols": 261}, "must be in \\[0, 261\\), got 1000000000"),
        ({"markers": {"end": -1}, "symbols": 261}, "must be in \\[0, 261\\), got -1"),
        ({"markers": {"end": "x"}, "symbols": 261}, "must be in \\[0, 261\\), got x"),
    ],
)
def test_a_codec_that_asks_for_what_no_weights_hold(folder: Path, codec: dict[str, Any], said: str):
    tree = json.loads((folder / "config.json").read_text())["arguments"]["codec"]
    rewritten(folder, codec=tree | {"arguments": tree["arguments"] | codec})
    with pytest.raises(Refusal, match=said):
        models.load(folder)


def test_a_number_beyond_all_numbers_is_none(folder: Path):
    content = (folder / "config.json").read_text()
    assert '"prompt_dropout": 0.1' in content
    (folder / "config.json").write_text(content.replace('"prompt_dropout": 0.1', '"prompt_dropout": 1e999'))
    with pytest.raises(Refusal, match="1e999 is not a number"):
        models.config(folder)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"softcap": "x"}, "softcap is not of type float or None"),
        ({"softcap": [1]}, "softcap is not of type float or None"),
        ({"fill": None}, "fill is not of type float"),
    ],
)
def test_an_argument_of_another_kind_is_refused(folder: Path, change: dict[str, Any], said: str):
    tree = json.loads((folder / "config.json").read_text())["arguments"]["process"]
    rewritten(folder, process=tree | {"arguments": tree["arguments"] | change})
    with pytest.raises(Refusal, match=said):
        models.load(folder)
