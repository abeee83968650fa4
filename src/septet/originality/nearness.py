"""Whether pictures, drawings and other data with features are new, or closer to training items than held-out data are.

Shapes: Q queries, R training items, F features, W views (Modality.views), n honest items.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contracts import Modality
from ..data.batches import evenly
from ..data.duplicates import near, signature
from ..modalities.digests import digest
from ..space import Refusal
from . import spans
from .calibration import COPY, FEWEST, PLENTY, Verdict, p_values, word_of
from .reduced import SAMPLE, Axes, Reduced

__all__ = ["Calibration", "Verdict", "calibrate", "judge"]

CHUNK = 256  # most items whose features are computed at a time
CELLS = 1 << 26  # most entries of a distance matrix
HONEST = 500  # most items for calibration
MOST_BYTES = 16_000_000  # limit on the features of the training data
CHANGES = 16  # assumed number of transformations per view, for the size of the distance matrix
CROWD = 50  # neighbours that estimate the density of training data around a datum


@dataclass(frozen=True)
class _Nearness:
    """(W, Q) each: the distance to the nearest training item in each view, its index, and the ratio of the distance to
    half the mean distance to the `CROWD` nearest (Carlini et al. 2023)."""

    distance_WQ: np.ndarray
    index_WQ: np.ndarray
    ratio_WQ: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """The reference for verdicts: features of the training data, and scores of honest data. These are held-out items
    and, if there are few, training items compared with all others. `place_of` maps the digest of an item's content to
    its index."""

    modality: Modality
    names: Sequence[str]
    features_W: list[Reduced]
    place_of: dict[bytes, int]
    scale_W1: np.ndarray
    honest_n: np.ndarray
    held_out: int

    def verdicts(self, data: Sequence[Any]) -> list[Verdict]:
        """A verdict for each datum. A datum with the content of a training item is always a copy."""
        if not len(data):
            return []
        found = _nearness(data, self.features_W, self.modality)
        scores_WQ = found.ratio_WQ / self.scale_W1
        p_Q, way_Q = p_values(scores_WQ.min(0), self.honest_n), scores_WQ.argmin(0)
        verdicts = []
        for q, (datum, p, way) in enumerate(zip(data, p_Q, way_Q, strict=True)):
            same = self.place_of.get(digest(self.modality.take(datum)))
            if same is not None:
                verdicts.append(Verdict("copy", self.names[same], 0.0, min(float(p), COPY)))
                continue
            name = self.names[int(found.index_WQ[way, q])]
            verdicts.append(Verdict(word_of(float(p)), name, float(found.distance_WQ[way, q]), float(p)))
        return verdicts

    def nearest(self, datum: Any, count: int) -> list[tuple[str, float]]:
        """The names of the `count` nearest training items, each by the view in which it is nearest, and the share of
        honest data whose nearest item is as near."""
        scores = []
        ways = _ways([datum], self.features_W, self.modality)
        for (way, training), scale in zip(ways, self.scale_W1[:, 0], strict=True):
            distance_QR = _distances(way, training)
            scores.append(distance_QR[0] / (0.5 * _crowd(distance_QR).values.mean() + 1e-9) / scale)
        score, index = torch.stack(scores).amin(0).sort()
        p = p_values(score[:count].numpy(), self.honest_n)
        return [(self.names[int(i)], float(chance)) for i, chance in zip(index[:count], p, strict=True)]

    def holds(self, datum: Any) -> bool:
        """Whether a datum as read from a file, or a piece of it, is a training item."""
        pieces = (self.modality.postprocess(piece) for piece, _ in self.modality.pieces(datum))
        return any(digest(self.modality.take(piece)) in self.place_of for piece in pieces)

    def honest_shares(self) -> dict[str, float]:
        """The shares of honest data that would be called a copy, and close."""
        words = [word_of(float(p)) for p in p_values(self.honest_n, self.honest_n)]
        return {word: words.count(word) / len(words) for word in ("copy", "close")}


def judge(
    generated: Sequence[Any], training: Sequence[Any], held_out: Sequence[Any], modality: Modality, names: Sequence[str]
) -> list[Verdict]:
    """A verdict for each generated datum; `names` are those of the training items. At most 1 % of honest data would be
    called copies and 5 % close. Raises Refusal if there are too few held-out data for calibration."""
    if len(generated) and isinstance(generated[0], str):
        return spans.judge(list(generated), list(training), list(held_out)).verdicts(names)
    return calibrate(training, held_out, modality, names).verdicts(generated)


def calibrate(
    training: Sequence[Any],
    held_out: Sequence[Any],
    modality: Modality,
    names: Sequence[str],
    seed: int = 0,
    planted: int = 0,
) -> Calibration:
    """Calibrates verdicts for data of a modality other than text. The last `planted` training items, which are
    canaries, are not used as honest data."""
    stream = np.random.Generator(np.random.Philox(seed))
    chosen = [held_out[i] for i in stream.permutation(len(held_out))[:HONEST]]
    extra = stream.permutation(len(training) - planted)[: HONEST - len(chosen)] if len(chosen) < PLENTY else []
    if len(chosen) + len(extra) < FEWEST or len(training) < 2:
        found = f"{len(chosen)} held-out and {len(training)} training items"
        raise Refusal(f"too few held-out items to calibrate: {found}; add data")
    features_W = _plain(training, modality)
    ratios = [_nearness(chosen, features_W, modality).ratio_WQ] if chosen else []
    if len(extra):
        twins = _twins(training, modality)
        others = [twins[i] for i in extra]
        ratios.append(_nearness([training[i] for i in extra], features_W, modality, others).ratio_WQ)
    ratio_Wn = np.concatenate(ratios, 1)
    scale_W1 = np.quantile(ratio_Wn, 0.05, 1, keepdims=True).clip(1e-9)  # so that views are comparable
    place_of = {digest(modality.take(datum)): i for i, datum in enumerate(training)}
    honest_n = (ratio_Wn / scale_W1).min(0)
    return Calibration(modality, names, features_W, place_of, scale_W1, honest_n, len(chosen))


def _chunks(data: Sequence[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    for begin in range(0, len(data), size):
        yield [data[i] for i in range(begin, min(begin + size, len(data)))]


def _plain(data: Sequence[Any], modality: Modality) -> list[Reduced]:
    """The features of untransformed data in each view."""

    def features(items: Sequence[Any]) -> Iterator[list[Tensor]]:
        return ([next(way) for way in modality.views(chunk)] for chunk in _chunks(items))

    samples = [torch.cat(parts) for parts in zip(*features(evenly(data, SAMPLE)), strict=True)]
    room = MOST_BYTES // (len(samples) * len(data))
    axes = [Axes.of(sample, room) for sample in samples]
    coded = [[a.coded(part) for a, part in zip(axes, parts, strict=True)] for parts in features(data)]
    return [a.gathered(list(parts)) for a, parts in zip(axes, zip(*coded, strict=True), strict=True)]


def _ways(
    data: Sequence[Any], features_W: list[Reduced], modality: Modality
) -> Iterator[tuple[Iterator[Tensor], Reduced]]:
    """For each view, the features of the data, and those of the training items."""
    ways = modality.views(data)
    if len(ways) != len(features_W):
        found = f"{len(ways)} views of the data, but the evidence has {len(features_W)}"
        raise Refusal(f"{found}, from another version of the modality; train the model again")
    return zip(ways, features_W, strict=True)


def _distances(way: Iterator[Tensor], training: Reduced) -> Tensor:
    """(Q, R) distances: the minimum over the transformations of a view."""
    changes = list(way)
    found = training.distances(torch.cat(changes))
    return found.view(len(changes), -1, len(training)).amin(0)


def _crowd(distance_QR: Tensor) -> Any:
    return distance_QR.topk(max(1, min(CROWD, distance_QR.shape[1] // 4)), largest=False)


def _nearness(
    data: Sequence[Any], features_W: list[Reduced], modality: Modality, excluded: Sequence[Sequence[int]] = ()
) -> _Nearness:
    """Compares data with the training items; `excluded` are the training items that are skipped for each datum."""
    rows: list[list[np.ndarray]] = []
    size = max(1, min(CHUNK, CELLS // (CHANGES * len(features_W[0]))))
    for number, chunk in enumerate(_chunks(data, size)):
        row = []
        for way, training in _ways(chunk, features_W, modality):
            distance_QR = _distances(way, training)
            for q, others in enumerate(excluded[number * size :][: len(chunk)]):
                distance_QR[q, torch.as_tensor(others)] = torch.inf
            closest = _crowd(distance_QR)
            known = closest.values.isfinite()
            mean_Q = closest.values.where(known, 0).sum(1) / known.sum(1).clamp(min=1)
            row.append((closest.values[:, 0], closest.indices[:, 0], closest.values[:, 0] / (0.5 * mean_Q + 1e-9)))
        rows.append([torch.stack(column).numpy() for column in zip(*row, strict=True)])
    return _Nearness(*(np.concatenate(parts, 1) for parts in zip(*rows, strict=True)))


def _twins(data: Sequence[Any], modality: Modality) -> list[list[int]]:
    """For each item, itself and its near duplicates, which a split would have kept on the same side."""
    shingles = [modality.shingles(data[i]) for i in range(len(data))]
    groups = near(np.stack([signature(each) for each in shingles]), shingles.__getitem__)
    group_of = {i: group for group in groups for i in group}
    return [group_of[i] for i in range(len(data))]
