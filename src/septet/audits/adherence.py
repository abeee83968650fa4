"""Section of the audit page: do outputs follow their prompts?"""

from collections.abc import Mapping

import numpy as np
import torch

from ..conditioners.prompts import content_words, recorded, words_of
from ..contracts import Prompt
from ..data import survey
from ..space import Refusal
from .audited import Audited
from .judging import taught
from .page import Section

RIVALS = 200  # held-out items with other prompts that an output is compared with
LISTED = 20  # unseen words that are shown


def view(audited: Audited) -> Section | None:
    """Measures how often outputs follow their prompts: by a classifier of labels if the data have labels, else by
    whether an output is nearer to the held-out item with the same prompt than to others. None for an unconditional
    model, or without data."""
    if not len(audited.dataset) or not any(output.record["prompt"] for output in audited.outputs):
        return None
    sentences, bars, figures = [], [], {}
    for name, values in survey.labels(audited.dataset).items():
        try:
            asked, right, accuracy = _judged(audited, name, values)
        except Refusal:
            continue
        figures[name] = {"outputs": asked, "followed": right, "judge_accuracy": accuracy}
        bars += [(name, right, f"{right:.0%}; the classifier's accuracy on real held-out items is {accuracy:.0%}")]
    if figures:
        sentences.append(
            "The share of outputs with the value that was asked for, according to a classifier trained on the training "
            "items. The classifier makes errors: its accuracy on real items is the most that can be expected."
        )
    elif (share := _pairs(audited)) is not None:
        figures["pair_test"] = share
        sentences.append(
            f"An output is nearer to the held-out item with its prompt than to another in {share:.0%} of cases "
            "(chance: 50 %). The features represent outlines and colours, not meaning."
        )
    unseen = _unseen(audited)
    figures["unseen_words"] = unseen
    if unseen:
        more = ", ..." if len(unseen) > LISTED else ""
        sentences.append(
            f"Words of held-out prompts that do not occur in training: {', '.join(unseen[:LISTED])}{more}."
        )
    return Section("adherence", "Does it follow the prompt?", sentences, bars=bars, figures=figures)


def value_of(prompt: Prompt, name: str) -> str | None:
    """The value of an attribute in a prompt; the prompt itself if it is a label."""
    return prompt.get(name) if isinstance(prompt, Mapping) else prompt or None


def _judged(audited: Audited, name: str, values: list[str | None]) -> tuple[int, float, float]:
    """The number of outputs that were asked for a value that the classifier knows, the share of them that it classifies
    as that value, and its accuracy on real items."""
    judge = judge_of(audited, values)
    asked = [(o.datum, value_of(o.record["prompt"], name)) for o in audited.outputs]
    known = [(datum, judge.values.index(value)) for datum, value in asked if value in judge.values]
    if not known:
        raise Refusal("no output was asked for a value that the classifier knows")
    read = judge.read([datum for datum, _ in known])
    return len(known), float((read == np.array([k for _, k in known])).mean()), judge.accuracy


def judge_of(audited: Audited, values: list[str | None]):
    """A classifier of an attribute, trained on `values`, those of the data's items."""
    dataset, finish = audited.dataset, audited.model.modality.postprocess
    sides = [[i for i in side if values[i] is not None] for side in (dataset.training, dataset.validation)]
    (training, labels), (held_out, honest) = (
        ([finish(dataset.data[i]) for i in side], [str(values[i]) for i in side]) for side in sides
    )
    return taught(audited.model.modality, training, labels, held_out, honest)


def _pairs(audited: Audited) -> float | None:
    dataset, modality = audited.dataset, audited.model.modality
    keys = {i: str(recorded(dataset.prompts[i], dataset.contents)) for i in dataset.validation}
    place = {keys[i]: i for i in reversed(dataset.validation)}
    own = [
        (output, place[str(output.record["prompt"])])
        for output in audited.outputs
        if str(output.record["prompt"]) in place
    ]
    items = sorted({index for _, index in own})
    if len(items) < 2:
        return None
    items += [i for i in dataset.validation if i not in set(items)][: max(0, RIVALS - len(items))]
    real = modality.features([modality.postprocess(dataset.data[i]) for i in items])
    apart = torch.cdist(modality.features([output.datum for output, _ in own]), real)
    prompts = [keys[i] for i in items]
    wins = []
    for row, (_, index) in zip(apart, own, strict=True):
        others = torch.tensor([prompt != keys[index] for prompt in prompts])
        if bool(others.any()):
            wins.append(float((row[items.index(index)] < row[others]).float().mean()))
    return float(np.mean(wins)) if wins else None


def _unseen(audited: Audited) -> list[str]:
    captions = audited.dataset.captions
    seen = {word for i in audited.dataset.training for word in words_of(captions[i])}
    asked = [word for i in audited.dataset.validation for word in content_words(captions[i])]
    return [word for word in dict.fromkeys(asked) if word not in seen]
