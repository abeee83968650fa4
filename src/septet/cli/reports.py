"""The findings of an audit, as sentences and as a table."""

from collections.abc import Iterator
from typing import Any

from ..originality.calibration import COPY

LISTED = 10  # copies that are listed
NO_EVIDENCE = "this needs the data, or a model trained with --evidence, which stores features of them"
LEFT_OUT = (
    "Omitted is what needs the data: coverage and precision, the validation loss, the map, adherence to prompts, "
    "bias. The pages on internals use the model's own outputs, for prompts made of words from training."
)


def sentences(figures: dict[str, Any]) -> Iterator[str]:
    """The audit in sentences."""
    if figures.get("without_data"):
        yield f"This is an audit without the data: {figures['without_data']}. {LEFT_OUT}"
    yield from _originality(figures["originality"], figures["drawn"])
    yield from _fidelity(figures.get("fidelity"))
    yield from _likelihood(figures["likelihood"])


def _originality(found: dict[str, Any], drawn: int) -> Iterator[str]:
    if "refused" in found:
        yield f"Originality was not judged: {found['refused']}."
    elif found.get("listed"):
        yield (
            f"Of {drawn} outputs, {found['counts']['new']} are new and {found['counts']['copy']} are training items. "
            "There is no baseline for this: held-out items were chosen so that none is a training item."
        )
    else:
        counts = found["counts"]
        yield (
            f"Of {drawn} outputs, {counts['new']} are new, {counts['close']} close to a training item and "
            f"{counts['copy']} copies. {_honest(found)}"
        )
        expected = COPY * drawn
        if counts["copy"] > expected + 3 * max(1.0, expected) ** 0.5:
            yield "The model copies: far more outputs are this near to training items than unseen data would be."
        elif counts["copy"]:
            yield "That is no more than expected by chance."
        for item in found["not_new"][:LISTED]:
            prompt = f"{item['prompt']!r}, " if item["prompt"] else ""
            yield f"  {prompt}seed {item['seed']}: {item['verdict']} (p = {item['p']:.2g})"
    if "longest_span" in found:
        span, beside = found["longest_span"], ""
        if "spans" in found:
            beside = f"; in held-out text of the same lengths, {found['spans']['held_out']['longest']}"
        yield f"The longest span copied from training text has {span['characters']} characters ({span['in']}){beside}."
    score = found.get("copying_score")
    if score is not None and score < -3:
        yield f"As a set, outputs are nearer to the training data than held-out data are (C_T {score:.1f}): copying."


def _honest(found: dict[str, Any]) -> str:
    """The share of real items that would get these verdicts: as measured or, by stored evidence, an upper bound."""
    if "honest" not in found:
        most = found["allowed"]
        return (
            "Judged by the evidence in the model's folder: of real items that were never trained on, at most "
            f"{most['close']:.0%} are called close and {most['copy']:.0%} copies."
        )
    honest = found["honest"]
    return (
        f"Of {honest['items']} real items that were never trained on, judged in the same way, {honest['close']:.1%} "
        f"are called close and {honest['copy']:.1%} copies."
    )


def _fidelity(found: dict[str, Any] | None) -> Iterator[str]:
    if found is None:
        return
    if "refused" in found:
        yield f"Fidelity was not measured: {found['refused']}."
        return
    made, floor, beside = found["generated"], found["floor"], found["floor_from"]
    yield (
        f"In septet's own fixed features, outputs cover {made['coverage']:.0%} of the training data (coverage; "
        f"{beside} {floor['coverage']:.0%}), and {made['precision']:.0%} of outputs lie among the training data "
        f"(precision; {beside} {floor['precision']:.0%}). Whether they look real is not measured."
    )


def _likelihood(found: dict[str, Any] | None) -> Iterator[str]:
    if found is None:
        return
    gap = found["held_out"] - found["training"]
    yield (
        f"The validation loss is {found['held_out']:.4f}, the loss on training data {found['training']:.4f} "
        f"({found['unit']}; lower is better); a large gap ({gap:+.4f}) means overfitting."
    )
    if "bits_a_byte" in found:
        yield (
            f"That is a perplexity of {found['perplexity']:.2f}, and {found['bits_a_byte']:.3f} bits per byte of "
            f"held-out text; a 4-gram model of bytes has {found['baseline_bits_a_byte']:.3f}."
        )


def table(figures: dict[str, Any]) -> Iterator[str]:
    """The figures, each beside its floor."""
    found = figures.get("fidelity")
    if found and "refused" not in found:
        yield f"{'':22}{'generated':>10}{'floor':>10}"
        for name in ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"):
            yield f"{name.replace('_', ' '):22}{found['generated'][name]:10.4f}{found['floor'][name]:10.4f}"
        yield (
            f"N = {found['items']} per side, k = {found['neighbours']}, Fréchet distance in {found['axes']} principal "
            f"axes; floor: {found['floor_from']}."
        )
        yield "In septet's own fixed features: not comparable with any published FID or KID."
    shares = figures["originality"].get("authentic_share")
    if shares:
        yield f"{'authentic share':22}{shares['generated']:10.4f}{shares['held_out']:10.4f}  (floor: held-out data)"
    score = figures["originality"].get("copying_score")
    if score is not None:
        yield f"{'copying score C_T':22}{score:10.2f}            (below -3: copying)"
    spans = figures["originality"].get("spans")
    if spans:
        yield f"{'copied spans':22}{'generated':>10}{'held out':>10}"
        for name in ("median", "longest", "covered_share"):
            yield f"{name.replace('_', ' '):22}{spans['generated'][name]:10.4g}{spans['held_out'][name]:10.4g}"
