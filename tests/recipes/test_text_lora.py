"""Adapters on a published model: trained, saved small, found again, and refused where their base is not."""

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from bytewise import SHAPE, tokenizer

import septet
from septet import models as folders
from septet.contracts import Context
from septet.space import Refusal

TEXT = "The lamp went out, and the sea was black. " * 120
IDS = torch.arange(40, 90)[None]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "small"
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE)).save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def personal(base: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "mine"
    options: dict[str, Any] = {"rank": 8, "length": 64, "rate": 0.01}
    septet.train([TEXT], "text_lora", folder, steps=60, start=septet.load(base), **options)
    return folder


@torch.no_grad()
def test_it_learns_the_text_and_its_folder_holds_adapters_alone(base: Path, personal: Path):
    names = {path.name for path in personal.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "config.json"} <= names
    assert "model.safetensors" not in names and "tokenizer.json" not in names
    adapters = sum(p.numel() for p in septet.load(personal).parameters())
    assert septet.load(personal).size == septet.load(base).size + adapters
    texts = [TEXT[:100], TEXT[50:150]]
    before, after = septet.load(base).score(texts), septet.load(personal).score(texts)
    print(f"nats a symbol: {before:.2f}, then {after:.2f}")
    assert after < before - 0.3


@torch.no_grad()
def test_peft_reads_the_folder_as_it_is(base: Path, personal: Path):
    theirs = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
        theirs = peft.PeftModel.from_pretrained(theirs, str(personal)).eval()
    ours = septet.load(personal).process.predict(IDS, Context())[:, 1:]
    assert float((theirs(IDS).logits[:, :-1] - ours).abs().max()) < 1e-4


def test_an_interrupted_run_goes_on_bit_for_bit(base: Path, tmp_path: Path):
    options: dict[str, Any] = {"rank": 4, "length": 32, "steps": 12}
    whole = septet.train([TEXT], "text_lora", tmp_path / "whole", start=septet.load(base), **options)
    run = septet.training(
        [TEXT], "text_lora", tmp_path / "cut", start=septet.load(base), checkpoint_seconds=0.0, **options
    )
    for progress in run:
        if progress.step is not None and progress.step.step == 6:
            break
    run.close()
    resumed = septet.train([TEXT], "text_lora", tmp_path / "cut", start=septet.load(base), resume=True, **options)
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_on_a_budget_it_ends_before_it_has_learned_the_text_by_heart(base: Path, tmp_path: Path):
    options = {"rank": 4, "length": 32, "budget": "720h"}  # which no machine uses up
    for passes, steps in ((0.1, 60), (2, 71)):  # 4,537 symbols of 5,041 are learned from, 128 a step
        run = septet.training(
            [TEXT], "text_lora", tmp_path / str(steps), start=septet.load(base), passes=passes, **options
        )
        said = []
        for progress in run:
            assert progress.step is None or progress.step.step <= steps
            said.append(progress.message)
        assert f"ended after {steps} steps: more would not help" in said


def test_what_has_lost_its_base_is_refused(base: Path, personal: Path, tmp_path: Path):
    for name, change in (("gone", {"reference": str(tmp_path / "nowhere")}), ("other", {"digest": "0" * 16})):
        copy = tmp_path / name
        model = septet.load(personal)
        model.base = model.base | change
        folders.save(model, copy, card={})
        with pytest.raises(Refusal, match="cannot be read|has changed since"):
            septet.load(copy)
    with pytest.raises(Refusal, match="fine-tunes a published model"):
        septet.train([TEXT], "text_lora", tmp_path / "x", steps=1)
    with pytest.raises(Refusal, match="only fine-tune a published"):
        septet.train([TEXT], "text_lora", tmp_path / "x", steps=1, start=septet.load(personal))


def test_a_damaged_adapter_is_named(personal: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    folders.save(septet.load(personal), copy, card={})
    (copy / "adapter_model.safetensors").write_bytes((copy / "adapter_model.safetensors").read_bytes()[:-8])
    with pytest.raises(Refusal, match="adapter_model.safetensors"):
        septet.load(copy)
    assert json.loads((personal / "config.json").read_text())["part"] == "openweights.Adapted"
