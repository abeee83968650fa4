"""Every recipe trains, draws and tells about its model, through the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from septet import models, recipes, runs
from septet.generator import Given
from septet.recipes import image_vae
from septet.space import Refusal

WIDE = ["width=32", "layers=1", "batch=4"]
TINY = {
    "image_diffusion": ["size=8", *WIDE],
    "image_gan": ["size=8", "width=8", "stages=1", "noise_size=8", "vector=8", "batch=4"],
    "image_vae": ["size=8", "latent=4", "width=8", "hidden=16", "batch=4"],
    "image_gpt": ["size=8", "codec_width=8", *WIDE],
    "image_bert": ["size=8", "codec_width=8", *WIDE],
    "text_gpt": ["tokens=bytes", "length=32", *WIDE],
    "text_bert": ["tokens=bytes", "length=32", *WIDE],
    "vector_gpt": ["length=64", "fill=0", *WIDE],
    "code_gpt": ["tokens=300", "length=64", *WIDE],
}


INSIDE = {  # what a model's page shows of what goes on in it
    "image_diffusion": {"noise", "word_maps"},
    "image_gan": {"critic"},
    "image_vae": {"sweeps", "codec"},
    "image_gpt": {"expects", "attention", "codec"},
    "image_bert": {"gaps", "codec"},
    "text_gpt": {"expects", "attention"},
    "text_bert": {"gaps", "neighbours"},
    "vector_gpt": {"expects", "attention"},
    "code_gpt": {"expects", "attention"},
}


BEGUN = {"text_lora"}  # goes on from a published model: tried in test_text_lora.py


def test_every_recipe_is_tried_here():
    assert set(TINY) == set(INSIDE) == set(recipes.names()) - BEGUN


@pytest.mark.parametrize("recipe", sorted(TINY))
def test_a_recipe_trains_draws_and_tells(recipe: str, sources, septet, tmp_path: Path):
    kind, short = recipe.split("_")
    out, made = tmp_path / "model", tmp_path / "made"
    code, said, error = septet(
        "train", kind, sources[kind], *TINY[recipe], "--recipe", short, "--steps", 4, "--seed", 3, "--out", out
    )
    assert code == 0, error
    assert f"saved {out}" in said and f"Next: septet generate {out}" in said
    assert not out.with_name("model.run").exists()
    rows = [json.loads(line) for line in (out / "training.jsonl").read_text().splitlines()]
    assert rows and all({"step", "elapsed_seconds"} <= set(row) for row in rows)
    assert all("loss" in row or "generator_loss" in row for row in rows)
    assert rows[-1]["step"] <= 4
    assert recipe == "image_gan" or any("validation_loss" in row for row in rows)
    facts = models.card(out)
    assert facts["recipe"] == recipe and facts["seed"] == 3

    code, said, error = septet("generate", out, "--count", 2, "--seed", 5, "--out", made)
    assert code == 0, error
    suffix = {"image": ".png", "text": ".txt", "vector": ".svg", "code": ".py"}[kind]
    files = sorted(path.name for path in made.iterdir() if path.suffix == suffix)
    assert files == [f"model-5{suffix}", f"model-6{suffix}"]
    assert "Cost: " in said and "Next: " in said

    code, said, error = septet("audit", out, "--count", 2)
    assert code == 0, error
    report = json.loads((out / "audit" / "report.json").read_text())
    assert set(report) >= {"drawn", "cost", "quality"} | INSIDE[recipe]

    code, said, error = septet("show", out)
    assert code == 0, error
    assert "parameters" in said and recipe in said


@pytest.mark.parametrize("recipe", [name for name in sorted(TINY) if name.startswith("image")])
def test_a_recipe_for_pictures_can_do_without_captions(recipe: str, sources, tmp_path: Path):
    options = recipes.parsed(recipes.find(recipe), [*TINY[recipe], "prompts=nothing"])
    model = runs.train(sources["image"], recipe, tmp_path / "model", steps=2, **options)
    assert len(model.generate(count=2)) == 2
    with pytest.raises(Refusal, match="trained without prompts"):
        model.generate("red")


@pytest.mark.parametrize("recipe", ["image_diffusion", "image_gpt", "image_bert"])
def test_a_recipe_for_pictures_fills_in(recipe: str, sources, tmp_path: Path):
    options = recipes.parsed(recipes.find(recipe), TINY[recipe])
    model = runs.train(sources["image"], recipe, tmp_path / "model", steps=2, **options)
    given, where = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8), np.zeros((8, 8), bool)
    given[..., 3], where[:, :4] = 255, True
    drawn = [output.datum for output in model.generate("red", count=4, given=Given(given, where))]
    assert all(np.array_equal(datum[where], given[where]) for datum in drawn)
    assert any(not np.array_equal(datum[~where], given[~where]) for datum in drawn)
    known_BN = model.codec.encode_known(given, where).where_BN
    assert known_BN is not None and int(known_BN.sum()) == known_BN.numel() // 2


def test_a_vae_measures_every_label_of_data_sorted_by_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image_vae, "FITTED", 5)
    pictures = np.random.default_rng(0).integers(0, 256, (31, 8, 8, 4), dtype=np.uint8)
    labels = ["common"] * 20 + ["other"] * 10 + ["rare"]
    options = recipes.parsed(recipes.find("image_vae"), TINY["image_vae"])
    model = runs.train((pictures, labels), "image_vae", tmp_path / "model", steps=2, **options)
    shares = model.process.get_buffer("share_L")
    assert float(shares.sum()) == pytest.approx(1) and float(shares.min()) > 0
    assert len(model.generate("common", count=2)) == 2


def test_training_goes_on_from_a_folder(sources, septet, tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    common = ["train", "image", sources["image"], "--recipe", "diffusion"]
    assert septet(*common, *TINY["image_diffusion"], "--steps", 2, "--out", first)[0] == 0
    # The size of the pictures is the model's, not the recipe's default.
    code, _, error = septet(*common, "batch=4", "--from", first, "--steps", 2, "--out", second)
    assert code == 0, error
    before, after = models.load(first), models.load(second)
    assert before.modality.size == after.modality.size == 8
    assert models.card(second)["started_from"] == "first"
    pairs = list(zip(before.state_dict().values(), after.state_dict().values(), strict=True))
    assert any(not torch.equal(a, b) for a, b in pairs)
    assert max(float((a - b).abs().max()) for a, b in pairs) < 0.5, "the second model began anew"


@pytest.mark.parametrize("recipe", ["image_gan", "image_vae", "image_gpt", "text_gpt", "vector_gpt", "code_gpt"])
def test_a_recipe_refuses_a_model_of_another_kind(recipe: str, sources, septet, tmp_path: Path):
    kind = recipe.split("_")[0]
    code, _, error = septet(
        "train", "image", sources["image"], *TINY["image_diffusion"], "--steps", 1, "--out", tmp_path / "first"
    )
    assert code == 0, error
    code, _, error = septet(
        *("train", kind, sources[kind], "--recipe", recipe, "--from", tmp_path / "first"),
        *("--steps", 1, "--out", tmp_path / "second"),
    )
    assert code == 2
    assert error.count("\n") == 1 and "start=first" in error
    assert not list(tmp_path.glob("second*"))


def test_options_have_the_type_of_their_default():
    recipe = recipes.find("image_diffusion")
    words = ["size=16", "rate=1e-2", "prompts=labels", "palette=8", "fill=0"]
    chosen = recipes.parsed(recipe, words)
    assert chosen == {"size": 16, "rate": 0.01, "prompts": "labels", "palette": 8, "fill": 0.0}
    assert isinstance(chosen["fill"], float)
    for word in ("size", "size=", "size=1.5", "size=big", "rate=fast", "sizes=4", "seed=1", "=3"):
        with pytest.raises(Refusal):
            recipes.parsed(recipe, [word])


def test_options_that_no_recipe_can_use_are_refused():
    recipe = recipes.find("image_gpt")
    wrong = [("size", 0), ("layers", -1), ("batch", 10**9), ("rate", float("nan")), ("rate", -1.0), ("dropout", 1.0)]
    for name, value in [*wrong, ("nonsense", 1)]:
        with pytest.raises(Refusal, match=name):
            recipes.checked(recipe, {name: value})
