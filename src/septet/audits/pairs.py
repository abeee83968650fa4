"""View: the outputs that stand nearest to training items, beside them."""

from .audited import Audited
from .page import Section, item, tile

SHOWN = 7


def view(audited: Audited) -> Section | None:
    """Those with the smallest p first, for content that has pictures."""
    modality = audited.model.modality
    if not audited.verdicts or modality.compares_spans:
        return None
    order = sorted(range(len(audited.verdicts)), key=lambda k: audited.verdicts[k].p)[:SHOWN]
    drawn = [tile(modality, audited.outputs[k].datum, f"drawn: {audited.verdicts[k].word}") for k in order]
    near = [item(modality, audited.source, audited.verdicts[k].nearest, audited.verdicts[k].nearest) for k in order]
    told = ["Of all that was drawn, these come nearest to a training item, which stands below each."]
    return Section("pairs", "The nearest pairs", told, strips=[drawn, near])
