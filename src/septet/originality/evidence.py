"""The evidence of its training data that a model's folder keeps: features or fingerprints, and paths, but no items.

Evidence reveals file names, and whether a given picture or text was trained on; short texts can be reconstructed from
it. If that matters, train without evidence (`keep_evidence=False`).
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError, safe_open

from ..codecs.symbols import GAP
from ..contracts import Modality
from ..data.dataset import END, Dataset
from ..space import Refusal
from . import reduced
from .fingerprints import Fingerprints, fingerprinted
from .lines import Listed, hashed, listed, stand
from .nearness import Calibration, calibrate

EVIDENCE = "evidence.safetensors"
FORMAT = "1"
NAMES_BYTES = 256 << 20

Evidence = Calibration | Fingerprints | Listed


def gather(dataset: Dataset) -> Evidence:
    """Computes the evidence of a dataset. Raises Refusal if there are too few data for calibration."""
    modality = dataset.modality
    index = list(dict.fromkeys(dataset.training))  # canaries occur more than once
    training, held_out = ([modality.postprocess(dataset.data[i]) for i in side] for side in (index, dataset.validation))
    names = [dataset.sources[i] for i in index]
    if modality.listed:
        return listed(training, held_out, names)
    if modality.compares_spans:
        whole: dict[str, str] = {}  # including held-out ends
        for i, text in zip((*index, *dataset.validation), (*training, *held_out), strict=True):
            name = dataset.sources[i].removesuffix(END)
            whole[name] = whole.get(name, "") + text
        return replace(fingerprinted(training, held_out, names), line_l=hashed(whole.values()))
    return calibrate(training, held_out, modality, names, planted=len(dataset.canaries))


def without_beginning(datum: Any, beginning: str | None) -> Any:
    """The part of an output that is judged: of a text, all but the given beginning; other data are returned whole.
    For items of lists, give no beginning."""
    if isinstance(datum, str) and beginning:
        return datum.removeprefix(beginning.partition(GAP)[0])
    return datum


def content(evidence: Evidence) -> bytes:
    """The content of the evidence file."""
    names = zlib.compress(json.dumps(list(evidence.names)).encode())
    kept: dict[str, np.ndarray] = {"names": np.frombuffer(names, np.uint8)}
    facts = {"format": FORMAT, "held_out": str(evidence.held_out), "kind": type(evidence).__name__}
    if isinstance(evidence, Listed):
        kept |= {name: getattr(evidence, name) for name in ("hash_k", "place_k", "line_l")}
    elif isinstance(evidence, Fingerprints):
        kept |= {name: getattr(evidence, name) for name in ("hash_k", "place_k", "start_n", "line_l")}
        kept |= {f"honest.{length}": longest for length, longest in evidence.honest.items()}
    else:
        kept |= {"scale": evidence.scale_W1[:, 0].astype(np.float64), "honest": evidence.honest_n.astype(np.float64)}
        kept["digests"] = np.frombuffer(b"".join(evidence.place_of), np.uint8).reshape(len(evidence.place_of), -1)
        kept["places"] = np.array(list(evidence.place_of.values()), np.int64)
        for way, features in enumerate(evidence.features_W):
            kept |= {f"{name}.{way}": tensor.numpy() for name, tensor in reduced.tensors(features).items()}
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in kept.items()}, facts)


def load(folder: Path, modality: Modality) -> Evidence | None:
    """The evidence in a model's folder, if it suffices for verdicts (see `judging`), else None. Raises Refusal if the
    file is damaged."""
    return judging(read(folder, modality))


def read(folder: Path, modality: Modality) -> Evidence | None:
    """As `load`, but also returns evidence that is too little for verdicts."""
    path = Path(folder) / EVIDENCE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts, kept = dict(file.metadata() or {}), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if facts.get("format") != FORMAT:
            raise ValueError(f"format {facts.get('format')!r}, but this version of septet reads {FORMAT}")
        found = _restored(facts, kept, modality)
        if (judge := judging(found)) is not None:
            judge.verdicts(_example(modality))  # checks that it is usable: as many features as this version has
        return found
    except (SafetensorError, LookupError, ValueError, TypeError, RuntimeError, OSError, zlib.error) as error:
        raise Refusal(f"{path} cannot be read as evidence ({error}); train the model again to have it") from error


def _example(modality: Modality) -> list[Any]:
    """A datum to check evidence with; none if the modality has no canaries: its features are then checked when the
    first datum is judged."""
    try:
        return [modality.canary(0)]
    except Refusal:
        return []


def judging(kept: Evidence | None) -> Evidence | None:
    """Returns the evidence if it suffices for verdicts, else None: with few texts, too little is held out, and only
    their lines are known."""
    return None if isinstance(kept, Fingerprints) and not kept.honest else kept


def lines_marked(kept: Evidence | None, lines: Sequence[str]) -> list[bool] | None:
    """Whether each line occurs in the training texts; None if that is unknown."""
    return stand(lines, kept.line_l) if isinstance(kept, Fingerprints | Listed) and len(kept.line_l) else None


def _restored(facts: Mapping[str, str], kept: Mapping[str, np.ndarray], modality: Modality) -> Evidence:
    names, held_out = _names(kept["names"].tobytes()), int(facts["held_out"])
    if facts["kind"] == "Listed":
        if len(kept["hash_k"]) != len(kept["place_k"]) or not len(names) or (kept["place_k"] >= len(names)).any():
            raise ValueError("its parts are inconsistent")
        return Listed(names, kept["hash_k"], kept["place_k"], kept["line_l"], held_out)
    if facts["kind"] == "Fingerprints":
        honest = {
            int(name.removeprefix("honest.")): array for name, array in kept.items() if name.startswith("honest.")
        }
        if len(kept["start_n"]) != len(names) or len(kept["hash_k"]) != len(kept["place_k"]):
            raise ValueError("its parts are inconsistent")
        line_l = kept.get("line_l", np.zeros(0, np.uint64))  # older files have no lines
        return Fingerprints(names, kept["hash_k"], kept["place_k"], kept["start_n"], honest, held_out, line_l)
    features = []
    while f"codes_RA.{len(features)}" in kept:
        end = f".{len(features)}"
        tensors = {name.removesuffix(end): torch.from_numpy(a) for name, a in kept.items() if name.endswith(end)}
        features.append(reduced.restored(tensors))
    if not features or any(len(way) != len(names) for way in features) or len(kept["scale"]) != len(features):
        raise ValueError("its parts are inconsistent")
    digests = (row.tobytes() for row in kept["digests"])
    place_of = {key: int(place) for key, place in zip(digests, kept["places"], strict=True)}
    if not all(0 <= place < len(names) for place in place_of.values()):
        raise ValueError("it names items that it does not have")
    return Calibration(modality, names, features, place_of, kept["scale"][:, None], kept["honest"], held_out)


def _names(compressed: bytes) -> Sequence[str]:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(compressed, NAMES_BYTES)
    found: Any = json.loads(text)
    if not unpacker.eof or not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ValueError("its names are not a list of strings")
    return found
