"""What a model keeps of its training data: as good a judge as the data, and never the data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from synthetic import pictures, text

from septet.contracts import Modality
from septet.data.dataset import Dataset, read
from septet.modalities.image import Image
from septet.modalities.text import Text
from septet.originality import evidence, fingerprints, lines, spans
from septet.originality.evidence import EVIDENCE, content, gather, load
from septet.originality.nearness import Calibration
from septet.space import Refusal


@pytest.fixture(scope="module")
def shapes() -> Dataset:
    return read(pictures(300, 1), Image(24))


def kept(dataset: Dataset, folder: Path) -> evidence.Evidence:
    (folder / EVIDENCE).write_bytes(content(gather(dataset)))
    found = load(folder, dataset.modality)
    assert found is not None
    return found


def test_pictures_are_judged_as_by_the_data_themselves(shapes, tmp_path):
    direct, found = gather(shapes), kept(shapes, tmp_path)
    asked = [shapes[i].datum[:, ::-1].copy() for i in shapes.training[:30]] + pictures(60, 7)
    assert found.verdicts(asked) == direct.verdicts(asked)
    assert [v.word for v in found.verdicts(asked[:30])].count("copy") >= 28
    assert [v.word for v in found.verdicts(asked[30:])].count("copy") <= 3
    assert not isinstance(found, fingerprints.Fingerprints | lines.Listed)
    (name, p), *others = found.nearest(asked[0], 5)
    assert name == shapes.sources[shapes.training[0]] and p <= 0.01
    assert len(others) == 4 and all(chance >= p for _, chance in others)


def test_ten_thousand_items_take_less_than_ten_megabytes(shapes, tmp_path):
    a_hundred = len(content(gather(shapes))) - 1_100_000  # less what the axes take, once
    assert a_hundred / len(shapes.training) * 10_000 < 8_900_000


def test_texts_are_judged_by_fingerprints_alone(tmp_path):
    whole, fresh = text(1500, 1), text(400, 3)
    dataset = Dataset([whole, text(1000, 2)], [None, None], ["tales.txt", "others.txt"], Text())
    dataset.training, dataset.validation = [0], [1]
    found = kept(dataset, tmp_path)
    assert isinstance(found, fingerprints.Fingerprints)
    halves = [fresh[i * 150 : i * 150 + 75] + whole[i * 500 : i * 500 + 75] for i in range(40)]
    assert [v.word for v in found.verdicts(halves)].count("copy") >= 38
    pieces = [fresh[i : i + 150] for i in range(0, len(fresh) - 150, 150)]
    words = [v.word for v in found.verdicts(pieces)]
    assert words.count("copy") <= 0.02 * len(pieces) and words.count("new") >= 0.9 * len(pieces)
    assert whole[100:140].lower().encode() not in (tmp_path / EVIDENCE).read_bytes()


def test_texts_without_anything_in_common_prove_nothing_by_a_single_run():
    stream = np.random.default_rng(0)
    training, held_out, fresh = ("".join(stream.choice(list(letters), 6000)) for letters in ("abcd", "efgh", "ijkl"))
    kept = fingerprints.fingerprinted([training], [held_out], ["one"])
    (verdict,) = kept.verdicts([fresh[:150] + training[300:340] + fresh[150:300]])
    assert verdict.p > 0.005


def test_spans_are_found_to_within_the_window_and_marked():
    training = [text(60, 1), text(60, 2)]
    kept = fingerprints.fingerprinted(training, [text(400, 3)], ["one", "two"])
    asked = "zzz " + training[1][500:620].upper().replace(" ", "\n") + " zzz"
    (exact,) = spans.copied([asked], training)
    longest = max(kept.copied(asked), key=lambda span: span.end - span.begin)
    assert longest.source == exact.source == 1
    assert 0 <= exact.length - (longest.end - longest.begin) <= 2 * (fingerprints.WINDOW - 1)
    pieces = fingerprints.marked(spans.normalised(asked), kept.copied(asked))
    assert "".join(piece for piece, _ in pieces) == spans.normalised(asked)
    assert [inside for _, inside in pieces] == [False, True, False]


def test_no_copy_of_a_run_and_a_window_is_missed():
    stream = np.random.default_rng(0)
    training = "".join(stream.choice(list("abcdefgh "), 3000))
    kept = fingerprints.fingerprinted([training], ["".join(stream.choice(list("ij"), 4000))], ["one"])
    training, size = spans.normalised(training), fingerprints.RUN + fingerprints.WINDOW - 1
    for begin in range(0, len(training) - size, 37):
        assert kept._copied(training[begin : begin + size])


class Chords(Modality):
    """float32 (n, 2) of any length, in dicts; nothing but what the contract asks for."""

    name, extensions, suffixes, width = "chords", (".npy",), (".npy",), 4

    def read(self, path: Path): ...
    def write(self, datum, path: Path, record): ...
    def preview(self, datum, size: int = 128): ...

    def features(self, data: Sequence[Any]) -> torch.Tensor:
        sounds = [torch.as_tensor(datum["sound"]) for datum in data]
        return torch.stack([torch.cat([s.mean(0), s.std(0)]) for s in sounds])[:, : self.width]


def chords(count: int, seed: int) -> list[dict[str, np.ndarray]]:
    stream = np.random.default_rng(seed)
    return [{"sound": stream.normal(stream.normal(), 1, (20 + n, 2)).astype(np.float32)} for n in range(count)]


def test_a_kind_without_canaries_keeps_evidence_and_is_judged(tmp_path):
    dataset = read(chords(200, 1), Chords(), held_out=0.3)
    found = kept(dataset, tmp_path)
    assert isinstance(found, Calibration)
    copies, others = found.verdicts([dataset[i].datum for i in dataset.training[:20]]), found.verdicts(chords(20, 2))
    assert {v.word for v in copies} == {"copy"} and [v.word for v in others].count("copy") <= 2


def test_features_of_another_version_are_refused_when_they_are_compared(tmp_path, monkeypatch):
    found = kept(read(chords(200, 1), Chords(), held_out=0.3), tmp_path)
    monkeypatch.setattr(Chords, "width", 3)
    again = load(tmp_path, Chords())
    assert isinstance(found, Calibration) and isinstance(again, Calibration)
    for ask in (lambda: again.verdicts(chords(1, 2)), lambda: found.nearest(chords(1, 2)[0], 3)):
        with pytest.raises(Refusal, match="features of 3 numbers, but the evidence has 4, from another version"):
            ask()
    monkeypatch.setattr(Chords, "views", lambda modality, data: [iter(())] * 2)
    with pytest.raises(Refusal, match="2 views of the data, but the evidence has 1, from another version"):
        again.verdicts(chords(1, 2))


@pytest.mark.hostile
def test_what_is_no_evidence_is_refused(shapes, tmp_path):
    assert load(tmp_path, shapes.modality) is None
    whole = content(gather(shapes))
    path = tmp_path / EVIDENCE
    for damaged in (b"", whole[:1000], b"\x80\x04" + whole):
        path.write_bytes(damaged)
        with pytest.raises(Refusal, match="cannot be read as evidence"):
            load(tmp_path, shapes.modality)
    path.write_bytes(whole)
    arrays = load_file(path)
    facts = {"format": "1", "kind": "Calibration", "held_out": "3"}
    for change in ({"names": arrays["names"][:-3]}, {"places": arrays["places"] + 10**6}, {"scale": np.ones(3)}):
        save_file(arrays | change, path, facts)
        with pytest.raises(Refusal, match="cannot be read as evidence"):
            load(tmp_path, shapes.modality)
    save_file(arrays | {f"{n}.0": arrays[f"{n}.0"][:100] for n in ("centre_F", "axes_FA")}, path, facts)
    with pytest.raises(Refusal, match="cannot be read as evidence"):  # of features that this version does not make
        load(tmp_path, shapes.modality)
    save_file(arrays, path, facts | {"format": "9"})
    with pytest.raises(Refusal, match="format '9', but this version of septet reads 1"):
        load(tmp_path, shapes.modality)
