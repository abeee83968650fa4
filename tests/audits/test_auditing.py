"""`septet audit` from the command line's function to the figures in the model's folder."""

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from bytewise import SHAPE, tokenizer
from PIL import Image as Pillow
from synthetic import pictures, text

from septet import models, runs
from septet.audits.page import TILE
from septet.cli import auditing, trained_on
from septet.space import Refusal
from septet.storage.pictures import uri


def asked(model: Path, **changed) -> auditing.AuditCommand:
    return auditing.AuditCommand(str(model), **{"data": None, "count": 12, "seed": 0, "out": None} | changed)


@pytest.fixture(scope="module")
def painter(tmp_path_factory) -> Path:
    """A model hardly trained, of 120 pictures."""
    folder = tmp_path_factory.mktemp("painter")
    (folder / "shapes").mkdir()
    for number, picture in enumerate(pictures(120, 1)):
        Pillow.fromarray(picture).save(folder / "shapes" / f"{'red ' if number % 2 else 'blue '}{number}.png")
    options: dict[str, Any] = {"size": 16, "patch": 8, "width": 32, "layers": 1, "batch": 8, "palette": 8}
    runs.train(folder / "shapes", "image_diffusion", folder / "model", steps=2, start=None, **options)
    return folder / "model"


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("writer")
    (folder / "tales.txt").write_text(text(800, 1))
    options = {"tokens": "characters", "length": 64, "width": 32, "layers": 1, "batch": 8}
    runs.train(folder / "tales.txt", "text_gpt", folder / "model", steps=3, **options)
    return folder / "model"


def test_pictures_are_audited_into_the_model_folder(painter, capsys):
    before = models.digest(painter)
    auditing.audit(asked(painter))
    said = capsys.readouterr().out
    found = json.loads((painter / "audit.json").read_text())
    assert models.verify(painter)["audit.json"] and models.digest(painter) == before
    assert found["same_data"] and found["drawn"] == 12 and found["fidelity"]["items"] == 12
    assert sum(found["originality"]["counts"].values()) == 12
    assert found["originality"]["honest"]["copy"] <= 0.01
    assert set(found["fidelity"]["floor"]) == set(found["fidelity"]["generated"])
    assert found["likelihood"]["unit"] == "validation loss"
    assert re.search(r"^Of 12 outputs, \d+ are new", said, re.M) and "not comparable with any published FID" in said
    assert said.index("Of 12 outputs") < said.index("frechet distance") < said.index("Made ") < said.index("Cost: ")
    assert said.splitlines()[-1].startswith("Next: septet ")
    report = json.loads((painter / "audit" / "report.json").read_text())
    assert set(report) >= {"drawn", "training", "map", "between", "pairs", "adherence", "bias", "cost"}
    assert report["quality"]["figures"]["originality"] == found["originality"]
    assert report["adherence"]["figures"]["label"]["outputs"] == 12
    assert report["cost"]["figures"]["training"]["flop"] > 0 and report["cost"]["figures"]["output"]["flop"] > 0
    assert 0 < report["map"]["figures"]["share_of_variance"] <= 1
    page = (painter / "audit" / "index.html").read_text()
    assert page.count("<circle") > 120 and "data-frames" in page and "://" not in page
    assert models.load(painter)  # the page lies beside the model and is no part of it


def test_text_is_audited_by_spans_and_bits_a_byte(writer, capsys):
    auditing.audit(asked(writer))
    said = capsys.readouterr().out
    found = json.loads((writer / "audit.json").read_text())
    assert 0 < found["likelihood"]["baseline_bits_a_byte"] < found["likelihood"]["bits_a_byte"]
    nats, bits = (found["likelihood"][name] for name in ("held_out", "bits_a_byte"))
    assert bits == pytest.approx(nats / torch.log(torch.tensor(2.0)).item(), rel=0.01)  # one byte a character here
    assert found["originality"]["counts"]["copy"] == 0
    assert found["originality"]["spans"]["held_out"]["longest"] > 20
    assert "bits per byte" in said and "tales.txt" in said
    report = json.loads((writer / "audit" / "report.json").read_text())
    assert set(report) >= {"drawn", "training", "quality"} and not {"between", "map"} & set(report)


def test_a_published_model_is_audited_beside_its_folder(writer, tmp_path, monkeypatch, capsys):
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE)).save_pretrained(tmp_path / "small")
    tokenizer().save(str(tmp_path / "small" / "tokenizer.json"))
    before = sorted(path.name for path in (tmp_path / "small").iterdir())
    monkeypatch.chdir(tmp_path)
    auditing.audit(asked(tmp_path / "small", data=writer.parent / "tales.txt", count=2))
    assert "made/small-audit" in capsys.readouterr().out.replace("\\", "/")
    assert {path.name for path in Path("made/small-audit").iterdir()} >= {"audit.json", "index.html"}
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == before
    assert auditing._kind(tmp_path / "small") == auditing._kind(writer) == "text"


def test_a_starter_without_evidence_and_data_is_audited_as_far_as_that_goes(writer, tmp_path, capsys):
    copy, tiny = tmp_path / "starter", {"tokens": "characters", "length": 64, "width": 32, "layers": 1, "batch": 8}
    runs.train(writer.parent / "tales.txt", "text_gpt", copy, steps=1, keep_evidence=False, **tiny)
    models.attach(copy, "run.json", json.dumps({"sources": ["tales"]}))
    auditing.audit(asked(copy, count=3, out=tmp_path / "page"))
    said = capsys.readouterr().out
    assert "does not record the folder of its training data; give it with --data DIR" in said
    assert "; septet show lists the sources of its data. Omitted is" in said
    assert "Originality was not judged: this needs the data, or a model trained with --evidence" in said
    report = json.loads((tmp_path / "page" / "report.json").read_text())
    assert set(report) >= {"drawn", "training", "cost", "expects", "attention", "quality"}
    auditing.compare([str(copy), str(copy)], asked(copy, count=2, out=tmp_path / "both"))
    assert (tmp_path / "both" / "index.html").exists()


def test_data_that_moved_or_changed(painter, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(painter, copy)
    models.attach(copy, "audit.json", "{}")
    run = json.loads((copy / "run.json").read_text())
    source = Path(run["source"])
    models.attach(copy, "run.json", json.dumps(run | {"source": str(tmp_path / "gone")}))
    auditing.audit(asked(copy, out=tmp_path / "without"))
    said = capsys.readouterr().out
    assert re.search(r"without the data: .*gone, the training data .* does not exist; .* --data DIR\. Omitted", said)
    found = json.loads((tmp_path / "without" / "audit.json").read_text())
    assert sum(found["originality"]["counts"].values()) == 12 and "gone" in found["without_data"]
    assert found["same_data"] is None and "fidelity" not in found and found["likelihood"] is None
    assert "Judged by the evidence in the model's folder" in said
    report = json.loads((tmp_path / "without" / "report.json").read_text())
    assert report["sentences"][0] in said and auditing.SHARED not in report["sentences"]
    assert set(report) >= {"drawn", "training", "between", "pairs", "cost", "noise", "quality"}
    assert not {"map", "adherence", "bias"} & set(report)
    assert "one of its own samples" in report["noise"]["sentences"][0]
    moved = tmp_path / "moved"
    shutil.copytree(source, moved)
    next(iter(sorted(moved.iterdir()))).unlink()
    auditing.audit(asked(copy, data=moved, out=tmp_path / "figures"))
    assert "These data differ from the training data" in capsys.readouterr().out
    found = json.loads((tmp_path / "figures" / "audit.json").read_text())
    assert (tmp_path / "figures" / "index.html").exists()
    assert not found["same_data"] and (copy / "audit.json").read_text() == "{}"
    with pytest.raises(Refusal, match="nowhere"):
        auditing.audit(asked(copy, data=tmp_path / "nowhere"))
    with pytest.raises(Refusal, match="count=0"):
        auditing.audit(asked(copy, count=0))


def test_what_a_foreign_record_names_is_not_taken_for_the_data(painter, tmp_path, capsys):
    copy, private = tmp_path / "copy", tmp_path / "private"
    shutil.copytree(painter, copy)
    private.mkdir()
    for number, picture in enumerate(pictures(30, 2)):
        Pillow.fromarray(picture).save(private / f"{number}.png")
    run = json.loads((copy / "run.json").read_text()) | {"source": str(private)}
    models.attach(copy, "run.json", json.dumps(run))
    model = models.load(copy)
    with pytest.raises(Refusal, match=rf"differ from the training data of .* add --data {private}"):
        trained_on.data_of(model, run, private, named=False)
    with pytest.raises(Refusal, match="does not exist"):
        trained_on.source_of({"source": "a\0b"}, None, "copy")

    def seen(out: Path) -> bool:
        pages = [path.read_text() for path in out.glob("*.html")]
        shown = [uri(model.modality.preview(model.modality.read(path), TILE)) for path in private.iterdir()]
        return any(held in page for held in shown for page in pages)

    with suppress(Refusal):
        auditing.audit(asked(copy, out=tmp_path / "unnamed"))
    assert not seen(tmp_path / "unnamed")
    auditing.audit(asked(copy, data=private, out=tmp_path / "named"))  # what the user named is taken as it is
    assert seen(tmp_path / "named") and "These data differ" in capsys.readouterr().out


def test_drawings_that_are_learned_in_one_colour_are_known_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("leaves").mkdir()
    for number in range(12):
        pen = f'fill="#{number:02}{number:02}00" stroke="red" stroke-width="1"' if number == 5 else ""
        path = f'<path {pen} d="M{number} 2h9v{number + 3}z"/>'
        text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{path}</svg>'
        Path(f"leaves/leaf {number}.svg").write_text(text)
    options: dict[str, Any] = {"width": 32, "layers": 1, "batch": 4, "length": 64}
    runs.train("leaves", "vector_gpt", "model", steps=1, **options)
    model, run = models.load("model"), trained_on.run_of(Path("model"))
    assert not model.modality.colours and trained_on.data_of(model, run, Path("leaves"), named=False).fingerprint
    runs.train("leaves", "vector_gpt", "again", steps=1, start=model, batch=4)
    assert trained_on.data_of(models.load("again"), trained_on.run_of(Path("again")), Path("leaves"), named=False)
    assert "data differ" not in capsys.readouterr().out
