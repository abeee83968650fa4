"""Adapters change nothing at first, hold all that is learned, and are read by the library that made the form."""

import json
from pathlib import Path

import peft
import pytest
import torch
import transformers
from bytewise import SHAPE, tokenizer

import septet
from septet import models
from septet.backbones import adapters
from septet.contracts import Context
from septet.openweights import adapted, writing
from septet.space import Refusal
from septet.storage import whole

IDS = torch.randint(0, 256, (2, 50), generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["Llama", "Qwen2"])
def folder(request, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = getattr(transformers, f"{request.param}Config")(**SHAPE, tie_word_embeddings=request.param == "Qwen2")
    made = getattr(transformers, f"{request.param}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += torch.randn_like(parameter) * 0.1
    made.save_pretrained(tmp_path / "base")
    tokenizer().save(str(tmp_path / "base" / "tokenizer.json"))
    return tmp_path / "base"


def changed(folder: Path) -> septet.Generator:
    """The model with adapters that have learned something."""
    model = septet.load(folder)
    adapters.attach(model, model.process.backbone, rank=4, alpha=8.0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("up.weight"):
                parameter.normal_(std=0.2)
    return model.eval()


@torch.no_grad()
def scores(model: septet.Generator) -> torch.Tensor:
    return model.process.predict(IDS, Context())[:, 1:]


def test_new_adapters_change_nothing_and_are_all_that_is_trained_and_saved(folder: Path):
    model = septet.load(folder)
    before = scores(model)
    adapters.attach(model, model.process.backbone, rank=4, alpha=8.0)
    assert torch.equal(scores(model), before)
    names = set(model.state_dict())
    assert names and all(name.endswith(("down.weight", "up.weight")) for name in names)
    assert {name for name, _ in model.named_parameters()} == names
    table = model.process.table.weight.clone()
    total, _ = model.train()({"latents": IDS, "prompt": torch.zeros(2, 0, dtype=torch.int64)}, "all", 0.0)
    total.backward()
    assert all(p.grad is not None for p in model.parameters()) and torch.equal(model.process.table.weight, table)


@torch.no_grad()
def test_adapters_see_less_in_training_alone(folder: Path):
    model, inner = septet.load(folder), torch.nn.Linear(8, 8)
    layer, x = adapters.LowRank(inner, 4, 8.0, dropout=0.5), torch.randn(6, 8)
    layer.up.weight.normal_()
    whole = layer.eval()(x)
    assert torch.equal(layer(x), whole) and not torch.equal(layer.train()(x), whole)
    layer.dropout.p = 0.999999  # what is dropped is what the adapter sees, not the layer beside it
    assert torch.equal(layer(x), inner(x))
    adapters.attach(model, model.process.backbone, 4, 8.0, dropout=0.25)
    assert {part.dropout.p for part in adapters.attached(model).values()} == {0.25}


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")  # peft asks transformers in a way that is going
@torch.no_grad()
def test_the_library_peft_reads_the_adapters(folder: Path, tmp_path: Path):
    model = changed(folder)
    (tmp_path / "adapter").mkdir()
    for name, content in writing.peft_files(model, str(folder)).items():
        (tmp_path / "adapter" / name).write_bytes(content)
    base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    learned = float((scores(septet.load(folder)) - scores(model)).abs().max())
    assert float((theirs(IDS).logits[:, :-1] - scores(model)).abs().max()) < 1e-4 < learned


@torch.no_grad()
def test_an_exported_model_is_the_same_in_transformers_and_here(folder: Path, tmp_path: Path):
    model = changed(folder)
    writing.export(model, tmp_path / "whole", torch.float32)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "whole", dtype=torch.float32).eval()
    assert float((theirs(IDS).logits[:, :-1] - scores(model)).abs().max()) < 1e-4
    assert torch.allclose(scores(septet.load(tmp_path / "whole")), scores(model), atol=1e-4)
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "whole")
    assert words("hello there")["input_ids"] == model.codec.symbols_of("hello there").tolist()
    with pytest.raises(Refusal, match="already exists"):
        writing.export(model, tmp_path / "whole")


def test_what_cannot_be_adapted_or_exported_is_refused(folder: Path, tmp_path: Path):
    model = septet.load(folder)
    with pytest.raises(Refusal, match="rank=0"):
        adapters.attach(model, model.process.backbone, rank=0, alpha=1.0)
    with pytest.raises(Refusal, match="dropout=1"):
        adapters.attach(model, model.process.backbone, rank=4, alpha=1.0, dropout=1.0)
    with pytest.raises(Refusal, match="targets=head"):
        adapters.attach(model, model.process.backbone, 4, 1.0, targets=("head",))
    with pytest.raises(Refusal, match="no adapters"):
        writing.peft_files(model, "base")
    with pytest.raises(Refusal, match="not a language model|parts that other programs"):
        writing.export(septet.load("prose"), tmp_path / "x")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"rank": "abc"}, "does not name the model"),
        ({"alpha": []}, "does not name the model"),
        ({"reference": "own"}, "holds adapters itself"),
        (None, "does not name the model"),
    ],
)
def test_adapters_that_belong_nowhere_are_refused(change: dict | None, said: str, folder: Path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = adapted.begun(septet.load("base"), 2, 4.0)
    models.save(model, "own", card={})
    assert septet.load("own").base == model.base
    tree = json.loads(Path("own/config.json").read_text())
    tree["arguments"] = [1] if change is None else tree["arguments"] | {"base": tree["arguments"]["base"] | change}
    names = [path.name for path in Path("own").iterdir() if path.name != "manifest.json"]
    contents = {name: Path("own", name).read_bytes() for name in names} | {"config.json": json.dumps(tree).encode()}
    whole.swap(whole.stage(contents, Path("own")), Path("own"))
    with pytest.raises(Refusal, match=said):
        septet.load("own")
