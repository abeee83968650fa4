"""Section of the audit page: which values of attributes the model generates more or less often than the data."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..conditioners.prompts import recorded
from ..contracts import Prompt
from ..data import survey
from ..originality.neighbours import nearest
from ..processes.settings import takes
from ..space import Refusal
from .adherence import judge_of
from .audited import Audited
from .copying import centres
from .judging import Judge, Share
from .page import Section, Tile, tile

DRAWS, FEWEST = 120, 40  # samples at each guidance weight; the least number if sampling is slow
PATIENCE_SECONDS = 60  # for the samples at one guidance weight
STRONG = 3.0  # the strong guidance weight if the model's own is 1
CLEARLY = 0.1  # by how much a classifier's accuracy must exceed that of guessing to be used
MOST_NAMES = 3  # attributes that are reported
GROUPS, GROUP_ITEMS = 8, 25  # most clusters, and least mean number of items per cluster


def view(audited: Audited) -> Section | None:
    """Compares shares of values in the data with those in samples whose prompts leave the attribute open, without and
    with strong guidance. Without labels, clusters of similar items are used as values."""
    labels = survey.labels(audited.dataset)
    tiles: list[Tile] = []
    if not labels or all(_open_prompts(audited, name) is None for name in labels):
        found = _groups(audited)
        if found is None:
            return None
        values, tiles = found
        labels = {"group": values}
    sentences, bars, figures = [], [], {}
    for name, values in list(labels.items())[:MOST_NAMES]:
        try:
            judge = judge_of(audited, values)
        except Refusal:
            continue
        if judge.accuracy < judge.guessing + CLEARLY:
            sentences.append(f"The values of {name} cannot be classified reliably (accuracy {judge.accuracy:.0%}).")
            figures[name] = {"judge_accuracy": judge.accuracy, "guessing": judge.guessing}
            continue
        share = _in_data(audited, values, judge)
        prompts = _open_prompts(audited, name) if name != "group" else [output.prompt for output in audited.outputs]
        drawn = {
            g: judge.shares(judge.read(_drawn(audited, prompts or [None], g))) for g in _guidances(audited, prompts)
        }
        figures[name] = {"judge_accuracy": judge.accuracy, "data": share, "drawn": _plain(drawn)}
        sentences += [_sentence(name, share, g, shares) for g, shares in drawn.items()]
        sentences += _between(name, share, drawn)
        bars += _bars(name, share, drawn)
    if not figures:
        return None
    sentences.append(
        "95 % intervals, which include the classifier's errors on real items. They only cover what the classifier can "
        "recognise; none of these figures measures fairness as such."
    )
    return Section("bias", "Bias", sentences, tiles, bars=bars, figures=figures)


def _open_prompts(audited: Audited, name: str) -> list[Prompt] | None:
    """Held-out prompts without the attribute `name`; [None], no prompt, for labels and unconditional models; else
    None."""
    index = audited.dataset.validation or audited.dataset.training
    conditioner = audited.model.conditioner
    prompts = conditioner.accepted([audited.dataset.prompts[i] for i in index])
    left = [{n: v for n, v in p.items() if n != name} for p in prompts if isinstance(p, Mapping)]
    return [prompt for prompt in left if prompt] or (
        [None] if name == "label" or not conditioner.takes_prompts else None
    )


def _guidances(audited: Audited, prompts: Sequence[Prompt] | None) -> list[float]:
    """Guidance weights: 1 and a strong one; only 1 if there are no prompts or the process takes no guidance."""
    if not takes(audited.model.process, "guidance") or not any(prompts or []):
        return [1.0]
    own = float(audited.model.settings.get("guidance", 1.0))
    return [1.0, own if own > 1 else STRONG]


def _drawn(audited: Audited, prompts: Sequence[Prompt], guidance: float) -> list[Any]:
    """Samples for `prompts`; the audit's outputs are reused if they have the same prompts and settings."""
    guided, contents = takes(audited.model.process, "guidance"), audited.model.conditioner.contents
    drawn, asked = [output.record["prompt"] for output in audited.outputs], [recorded(p, contents) for p in prompts]
    alike = drawn == [asked[k % len(asked)] for k in range(len(drawn))] and not (guided and any(prompts))
    if alike and len(drawn) >= FEWEST:
        return [output.datum for output in audited.outputs]
    each = float(audited.outputs[0].record["seconds"] or 0) if audited.outputs else 0.0
    count = max(FEWEST, min(DRAWS, int(PATIENCE_SECONDS / max(each, 1e-3))))
    rows = [(prompts[k % len(prompts)], 10_000 + k) for k in range(count)]
    settings: dict[str, Any] = audited.settings | ({"guidance": guidance} if guided else {})
    return [o.datum for moment in audited.model.generating(rows, tile=16, **settings) for o in moment.outputs]


def _in_data(audited: Audited, values: list[str | None], judge: Judge) -> dict[str, float]:
    known = [values[i] for i in audited.dataset.training if values[i] in judge.values]
    return {value: known.count(value) / len(known) for value in judge.values}


def _plain(drawn: dict[float, dict[str, Share]]) -> dict[str, Any]:
    return {f"guidance {g:g}": {value: vars(share) for value, share in shares.items()} for g, shares in drawn.items()}


def _sentence(name: str, data: dict[str, float], guidance: float, drawn: dict[str, Share]) -> str:
    """A sentence that compares the share of the data's most frequent value with its share in samples."""
    most = max(data, key=lambda value: data[value])
    share = drawn[most]
    words = (
        "generated more often than in the data"
        if share.low > data[most]
        else "generated less often than in the data"
        if share.high < data[most]
        else "no significant difference"
    )
    return (
        f"{name} {most!r} is {data[most]:.0%} of the data and {share.share:.0%} ({share.low:.0%} to {share.high:.0%}) "
        f"of samples at guidance {guidance:g}: {words}."
    )


def _between(name: str, data: dict[str, float], drawn: dict[float, dict[str, Share]]) -> list[str]:
    """A sentence on whether strong guidance changes the share of the data's most frequent value."""
    if len(drawn) < 2:
        return []
    most = max(data, key=lambda value: data[value])
    plain, strong = (shares[most] for shares in drawn.values())
    if strong.low > plain.high:
        return [f"Stronger guidance amplifies {name} {most!r}."]
    if strong.high < plain.low:
        return [f"Stronger guidance weakens {name} {most!r}."]
    return [f"Stronger guidance does not change {name} {most!r} significantly."]


def _bars(name: str, data: dict[str, float], drawn: dict[float, dict[str, Share]]) -> list[tuple[str, float, str]]:
    bars = []
    for value, share in sorted(data.items(), key=lambda pair: -pair[1]):
        bars.append((f"{name} {value}: data", share, f"{share:.0%}"))
        for guidance, shares in drawn.items():
            s = shares[value]
            bars.append((f"generated, guidance {guidance:g}", s.share, f"{s.share:.0%} ({s.low:.0%} to {s.high:.0%})"))
    return bars


def _groups(audited: Audited) -> tuple[list[str | None], list[Tile]] | None:
    """Clusters items by k-means on features: the cluster of each item, and the most central item of each cluster. None
    if there are too few items."""
    dataset, modality = audited.dataset, audited.model.modality
    count = min(GROUPS, len(dataset.training) // GROUP_ITEMS)
    if count < 2:
        return None
    index = [*dataset.training, *dataset.validation]
    features = modality.features([modality.postprocess(dataset.data[i]) for i in index])
    middles = centres(features[: len(dataset.training)], count, 0)
    values: list[str | None] = [None] * len(dataset)
    for i, group in zip(index, nearest(features, middles)[1].tolist(), strict=True):
        values[i] = str(group + 1)
    shown = nearest(middles, features[: len(dataset.training)])[1].tolist()
    tiles = [tile(modality, dataset.data[dataset.training[i]], f"group {k}") for k, i in enumerate(shown, 1)]
    return values, tiles
