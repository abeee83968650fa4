"""Section of the audit page: the outputs that are nearest to training items, beside these."""

from .audited import Audited
from .page import Section, item, tile

SHOWN = 7


def view(audited: Audited) -> Section | None:
    """Those with the smallest p-values first; None for text, and without verdicts."""
    modality = audited.model.modality
    if not audited.verdicts or modality.compares_spans:
        return None
    order = sorted(range(len(audited.verdicts)), key=lambda k: audited.verdicts[k].p)[:SHOWN]
    drawn = [tile(modality, audited.outputs[k].datum, f"generated: {audited.verdicts[k].word}") for k in order]
    near = [item(modality, audited.source, audited.verdicts[k].nearest, audited.verdicts[k].nearest) for k in order]
    sentences = ["The outputs that are nearest to a training item, which is shown below each."]
    return Section("pairs", "The nearest pairs", sentences, strips=[drawn, near])
