"""A recipe whose prompts are a picture and a text: it learns to draw one picture from another."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from scipy.stats import wilcoxon

from septet import models, runs
from septet.backbones.transformer import Transformer
from septet.codecs.patches import Patches
from septet.conditioners.content import Content
from septet.conditioners.several import Several
from septet.conditioners.text import Text
from septet.data.batches import Batches
from septet.data.dataset import read
from septet.fitting import Settings
from septet.generator import Generator
from septet.modalities.image import Image
from septet.processes.flow import Flow
from septet.recipes import Plan, Stage
from septet.storage.records import read_record

SIZE, HELD_OUT = 8, 24


def redrawing(source, seed=0, start=None, seconds=None, width: int = 64, layers: int = 2, batch: int = 32) -> Plan:
    """Pictures from another picture and a text, by diffusion over patches."""
    kind = Image(SIZE)
    data = read(source, kind, seed=seed, held_out=0.15, contents={"given": kind})
    torch.manual_seed(seed)
    codec = Patches(SIZE, 2, 3)
    parts = {
        "given": Content(width, kind, Patches(SIZE, 2, 3), "aligned", shape=codec.space.shape),
        "text": Text.learned(width, data.captions, layers=1, inner=32),
    }
    backbone = Transformer(width, layers, heads=2, modulated=True, rotary_base=100.0)
    model = start or Generator(kind, codec, Flow(codec.space, backbone), Several(parts), settings={"steps": 8})
    prompts = model.conditioner.prepare(data.prompts)
    held_out = Batches(data.data, prompts, batch, index=data.validation)
    batches = Batches(data.data, prompts, batch, seed, held_out=held_out, index=data.training)
    fit = Settings(rate=0.02, precision="fp32")
    return Plan(model, [Stage("redrawing", model, lambda: batches, fit)], data, previews=data.prompts[:4])


WAYS = {"light": lambda x: x, "dark": lambda x: 255 - x}


def blots(stream: np.random.Generator) -> np.ndarray:
    """A picture of two by two coloured squares."""
    return stream.integers(0, 256, (2, 2, 3), dtype=np.uint8).repeat(SIZE // 2, 0).repeat(SIZE // 2, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Pictures; a table says by what word each comes from which other picture."""
    root, stream = tmp_path_factory.mktemp("redrawn"), np.random.default_rng(0)
    (root / "originals").mkdir()
    with open(root / "metadata.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "text", "given"])
        for number in range(160):
            way, original = list(WAYS)[number % 2], blots(stream)
            Pillow.fromarray(original).save(root / "originals" / f"{number}.png")
            Pillow.fromarray(WAYS[way](original)).save(root / f"{number}.png")
            table.writerow([f"{number}.png", way, f"originals/{number}.png"])
    return root


@pytest.fixture(scope="module")
def model(folder: Path) -> Generator:
    return runs.train(folder, redrawing, folder.with_name("redrawer"), steps=100, device="cpu")


def test_the_right_picture_is_of_more_use_than_a_wrong_one(model: Generator, folder: Path):
    data = read(folder, Image(SIZE), held_out=0.15, contents=model.conditioner.contents)
    index = data.validation[:HELD_OUT]
    right: list[Any] = [data.prompts[i] for i in index]
    wrong = [{**p, "given": right[k - 1]["given"]} for k, p in enumerate(right)]
    silent = [{**p, "text": {"light": "dark", "dark": "light"}[p["text"]]} for p in right]

    def apart(prompts: list[Any]) -> np.ndarray:
        requests = [(prompt, seed) for seed, prompt in enumerate(prompts)]
        drawn = [o.datum for moment in model.generating(requests, tile=len(requests)) for o in moment.outputs]
        return np.abs(np.stack(drawn)[..., :3] - 1.0 * data.data[index][..., :3]).mean((1, 2, 3))

    errors = {"right": apart(right), "wrong picture": apart(wrong), "wrong word": apart(silent)}
    for name in ("wrong picture", "wrong word"):
        test: Any = wilcoxon(errors["right"], errors[name], alternative="less")
        assert test.pvalue < 0.01
        assert np.median(errors["right"]) < 0.8 * np.median(errors[name])


def told_in(path: Path) -> Any:
    """The prompt of a file's record."""
    return (read_record(path) or {})["prompt"]


def test_a_command_takes_files_and_the_record_keeps_their_hash(model: Generator, folder: Path, septet, tmp_path: Path):
    given, painter = folder / "originals" / "0.png", folder.with_name("redrawer")
    code, out, err = septet("generate", painter, "dark", f"given=@{given}", "--seed", 3, "--out", tmp_path)
    assert code == 0, err
    made = tmp_path / "redrawer-3.png"
    told = told_in(made)
    assert told == {"text": "dark", "given": {"sha256": told["given"]["sha256"], "file": "0.png"}}
    assert f"given=@{given}" in out.split("Next: ")[1]
    same = model.generate({"text": "dark", "given": Image(SIZE).read(given)}, seed=3)[0]
    assert np.array_equal(same.datum, Image(SIZE).read(made)[..., :3])
    assert "given=@0.png" in septet("check", made)[1]
    audited = ("audit", made, "--model", painter, "--out", tmp_path / "page")
    code, out, err = septet(*audited)
    assert code == 0 and "add given=@0.png" in out, err
    code, out, err = septet(*audited, f"given=@{given}")
    assert code == 0 and "gives an identical result" in out, err
    code, _, err = septet(*audited, f"given=@{folder / 'originals' / '1.png'}")
    assert code == 2 and "the output was generated from another file" in err
    code, _, err = septet("generate", painter, "dark", f"sketch=@{given}")
    assert code == 2 and "takes given=@FILE (image)" in err


def test_a_table_of_prompts_names_files(model: Generator, folder: Path, septet, tmp_path: Path):
    table = folder.with_name("wanted.csv")
    table.write_text(f"prompt,name,given\ndark,one,{folder.name}/originals/0.png\nlight,two,\n")
    code, _, err = septet("generate", folder.with_name("redrawer"), "--prompts", table, "--out", tmp_path)
    assert code == 0, err
    told = [told_in(tmp_path / f"{name}-0.png") for name in ("one", "two")]
    assert told[0]["given"]["file"] == "0.png" and told[1] == "light"


def test_a_model_is_audited_with_the_content_of_its_prompts(model: Generator, folder: Path, septet):
    code, out, err = septet("audit", folder.with_name("redrawer"), "--count", 12)
    assert code == 0, err
    assert "another fingerprint" not in out + err


def test_it_goes_on_from_the_saved_folder(model: Generator, folder: Path):
    again = models.load(folder.with_name("redrawer"))
    prompt = {"text": "dark", "given": blots(np.random.default_rng(1))}
    first, second = (m.generate(prompt, seed=1)[0] for m in (model, again))
    assert np.array_equal(first.datum, second.datum) and first.record["prompt"] == second.record["prompt"]
    frames = again.interpolate((prompt, {**prompt, "given": blots(np.random.default_rng(2))}), (1, 1), frames=3)
    assert np.abs(frames[0].datum.astype(int) - first.datum).max() <= 2
    assert not np.array_equal(frames[0].datum, frames[2].datum)
