"""A model folder comes back bit for bit, is replaced whole or not at all, and keeps what is not its own."""

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from toys import CARD, PARTS, Toy, equal, saved, toy

from septet import models
from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners import text as conditioners
from septet.generator import Generator
from septet.modalities import text as modalities
from septet.part import Part, part_name
from septet.processes.autoregressive import Autoregressive
from septet.space import Refusal
from septet.storage import references, whole
from septet.storage.references import find_part

HERE = Path(__file__).parent


def child(code: str, *arguments: object) -> subprocess.Popen:
    code = f"import sys\nfrom pathlib import Path\nsys.path.insert(0, {str(HERE)!r})\n{code}"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_model_comes_back_bit_for_bit(tmp_path: Path):
    model = toy()
    models.save(model, tmp_path / "m", card=CARD)
    torch.manual_seed(3)
    stream = torch.get_rng_state()
    back = models.load(tmp_path / "m", parts=PARTS)
    assert torch.equal(stream, torch.get_rng_state())
    assert equal(model, back) and not back.training
    assert back.head.weight is back.table.weight
    assert back.words.content == '{"a": 1}'
    symbols_BN = torch.arange(5)[None]
    assert torch.equal(model(symbols_BN), back(symbols_BN))


def test_the_folder_says_what_the_model_is(tmp_path: Path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n')
    folder = models.save(toy(), tmp_path / "m", card=CARD, log=log, files={"audit.json": "{}"})
    names = {"README.md", "audit.json", "config.json", "manifest.json", "model.safetensors", "training.jsonl"}
    assert {path.name for path in folder.iterdir()} == names | {"words.json"}
    assert models.card(folder) == CARD
    text = (folder / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: septet\nlicense: mit\n") and "## Limits\n\n- knows nothing" in text
    tree = models.config(folder)
    assert tree["part"] == "Toy" and tree["septet"] and tree["arguments"]["words"] == {"file": "words.json"}
    assert (folder / "training.jsonl").read_text() == log.read_text()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_can_be_stored_in_half(tmp_path: Path, dtype: torch.dtype):
    model = toy()
    models.save(model, tmp_path / "m", card=CARD, dtype=dtype)
    back = models.load(tmp_path / "m", parts=PARTS)
    assert back.table.weight.dtype == torch.float32
    assert torch.equal(back.table.weight, model.table.weight.to(dtype).float())
    assert back.scale.count.dtype == torch.int64


def test_the_digest_follows_the_weights_and_not_the_audit(tmp_path: Path):
    first, other = saved(tmp_path / "a"), saved(tmp_path / "b", seed=1)
    name = models.digest(first)
    assert len(name) == 16 and name != models.digest(other) and name == models.digest(saved(tmp_path / "c"))
    for content in ('{"new": 1}', '{"new": 2}'):
        models.attach(first, "audit.json", content)
        assert json.loads((first / "audit.json").read_text()) == json.loads(content)
        assert models.digest(first) == name and equal(models.load(first, parts=PARTS), toy())
    with pytest.raises(Refusal, match="save the model instead"):
        models.attach(first, "config.json", "{}")


def test_a_new_model_replaces_the_old_and_leaves_other_files(tmp_path: Path):
    folder = models.save(toy(), tmp_path / "m", card=CARD, files={"audit.json": "{}"})
    (folder / "notes.txt").write_text("mine")
    (folder / "run").mkdir()
    (folder / "run" / "x").write_text("y")
    saved(folder, seed=1)
    assert equal(models.load(folder, parts=PARTS), toy(1))
    assert (folder / "notes.txt").read_text() == "mine" and (folder / "run" / "x").read_text() == "y"
    assert not (folder / "audit.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_folder_of_other_things_is_not_taken(tmp_path: Path):
    (tmp_path / "README.md").write_text("my thesis")
    with pytest.raises(Refusal, match="holds a README.md that is not part of a septet model"):
        saved(tmp_path)
    assert (tmp_path / "README.md").read_text() == "my thesis"
    with pytest.raises(Refusal, match="is a file"):
        saved(tmp_path / "README.md")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, bad: float):
    folder, model = saved(tmp_path / "m"), toy(1)
    model.scale.gain.data[2] = bad
    with pytest.raises(Refusal, match="scale.gain holds NaN or infinity"):
        models.save(model, folder, card=CARD)
    assert equal(models.load(folder, parts=PARTS), toy())


def test_an_overflow_in_half_is_not_saved(tmp_path: Path):
    model = toy()
    model.scale.gain.data[0] = 1e6
    with pytest.raises(Refusal, match="infinity"):
        models.save(model, tmp_path / "m", card=CARD, dtype=torch.float16)
    assert not (tmp_path / "m").exists()


def test_a_full_disk_leaves_the_previous_model_whole(tmp_path: Path):
    folder = saved(tmp_path / "m")
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from toys import CARD, toy
from septet import models
from septet.space import Refusal
try: models.save(toy(1, width=4000), Path(sys.argv[1]), card=CARD)
except Refusal as error: print(error)
"""
    process = child(code, folder)
    out, err = process.communicate()
    assert process.returncode == 0 and f"cannot write {folder}: File too large; free some space" in out, err
    assert equal(models.load(folder, parts=PARTS), toy())
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match=r"cannot write .*file/m: File exists .*/file.; check the path"):
        saved(tmp_path / "file" / "m")


def test_killed_while_saving_the_model_is_whole(tmp_path: Path):
    folder = saved(tmp_path / "m")
    code = """
from toys import CARD, toy
from septet import models
model = [toy(0), toy(1)]
print("ready", flush=True)
for turn in range(10**9): models.save(model[turn % 2], Path(sys.argv[1]), card=CARD)
"""
    for turn in range(6):
        process = child(code, folder)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.02 + 0.037 * turn)
        process.kill()
        process.communicate()
        back = models.load(folder, parts=PARTS)
        assert equal(back, toy(0)) or equal(back, toy(1))
    saved(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("left", ["between the renames", "before removal", "folder made anew"])
def test_a_save_cut_short_is_ended_by_the_next(tmp_path: Path, left: str):
    folder = saved(tmp_path / "m")
    (folder / "notes.txt").write_text("mine")
    folder.rename(whole.previous(folder))
    if left == "before removal":
        saved(tmp_path / "n", seed=1).rename(folder)
    elif left == "folder made anew":
        folder.mkdir()
        (folder / "lock").touch()
    else:
        assert equal(models.load(folder, parts=PARTS), toy())
    whole.recover(folder)
    assert equal(models.load(folder, parts=PARTS), toy(1 if left == "before removal" else 0))
    assert (folder / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_loading_runs_no_recipe(tmp_path: Path):
    """A model outlives the code that trained it: the recipe's module is not even imported."""
    folder = models.save(toy(), tmp_path / "m", card=CARD | {"recipe": "text_gpt"})
    code = """
from toys import PARTS
from septet import models
models.load(sys.argv[1], parts=PARTS)
print([name for name in sys.modules if name.startswith("septet.recipes") or name.startswith("septet.processes")])
"""
    out, err = child(code, folder).communicate()
    assert out == "[]\n", err


def test_a_septet_part_is_found_by_its_name():
    assert find_part("Transformer").__module__ == "septet.backbones.transformer"
    assert find_part("Toy", PARTS) is Toy
    for package in ("modalities", "conditioners"):
        assert find_part(f"{package}.Text").__module__.startswith(f"septet.{package}")
    assert find_part("codecs.Transformer") is find_part("backbones.Transformer")


def own_parts() -> list[type[Part]]:
    modules = [importlib.import_module(name) for name, _ in references._modules()]
    kinds = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    return sorted((k for k in kinds if issubclass(k, Part)), key=part_name)


OWN = [kind for kind in own_parts() if kind.__module__.split(".")[1] in references.PACKAGES]


@pytest.mark.parametrize("kind", OWN, ids=part_name)
def test_every_part_is_found_by_the_name_it_is_saved_under(kind: type[Part]):
    assert find_part(part_name(kind)) is kind


NETWORKS = [kind for kind in OWN if issubclass(kind, torch.nn.Module) and kind is not Generator]


@pytest.mark.parametrize("kind", NETWORKS, ids=part_name)
def test_every_part_is_saved_and_loaded(tmp_path: Path, kind: type[Part]):
    """Loading builds each part on the meta device first, to see what a config asks for before memory is had."""
    model = kind.tiny()
    assert isinstance(model, torch.nn.Module)
    models.save(model, tmp_path / "m", card=CARD)
    assert equal(models.load(tmp_path / "m"), model)


def test_a_generator_draws_the_same_and_its_outputs_name_the_folder(tmp_path: Path):
    """Two of its parts are of classes called Text."""
    codec = Symbols.tiny()
    process = Autoregressive(codec.space, Transformer(width=32, layers=1, heads=2))
    model = Generator(modalities.Text(), codec, process, conditioners.Text.tiny())
    folder = models.save(model, tmp_path / "m", card=CARD)
    back = models.load(folder)
    assert equal(back, model)
    first, second = model.generate("a red apple", seed=3)[0], back.generate("a red apple", seed=3)[0]
    assert first.text == second.text
    assert second.record["model"] == "m" and second.record["model_sha256"] == models.digest(folder)
