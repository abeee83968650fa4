"""Section of the audit page: a map of training, held-out and generated items."""

import torch

from ..data.batches import evenly
from ..storage.pictures import uri
from .audited import Audited
from .charts import scatter
from .page import Section

EACH = 120  # items of each kind
SMALL = 64  # pixels of a preview


def view(audited: Audited) -> Section | None:
    """Projects features to the first two principal components of real items (Pearson 1901): distant dots are different,
    near ones need not be similar. None with fewer than three items."""
    if len(audited.dataset) < 3:
        return None
    dataset, modality = audited.dataset, audited.model.modality
    groups = {
        "training": [(dataset.data[i], dataset.sources[i]) for i in evenly(dataset.training, EACH)],
        "held out": [(dataset.data[i], dataset.sources[i]) for i in evenly(dataset.validation, EACH)],
        "generated": [
            (o.datum, f"{o.record['prompt'] or 'no prompt'}, seed {o.record['seed']}") for o in audited.outputs[:EACH]
        ],
    }
    groups = {
        name: [(modality.postprocess(d), caption) for d, caption in group] for name, group in groups.items() if group
    }
    features = {name: modality.features([d for d, _ in group]).double() for name, group in groups.items()}
    real = torch.cat([f for name, f in features.items() if name != "generated"])
    centre = real.mean(0)
    _, lengths, axes = torch.linalg.svd(real - centre, full_matrices=False)
    share = float((lengths[:2] ** 2).sum() / (lengths**2).sum().clamp(min=1e-30))
    dots = {
        name: [
            ((float(x), float(y)), uri(modality.preview(datum, SMALL)), f"{name}: {caption}")
            for (x, y), (datum, caption) in zip(((features[name] - centre) @ axes[:2].T).tolist(), group, strict=True)
        ]
        for name, group in groups.items()
    }
    sentences = [
        f"Each dot is an item, at its first two principal components, which explain {share:.0%} of the variance of "
        "real items: dots that are near each other may still differ in other components. Point at a dot to see it."
    ]
    return Section("map", "Map", sentences, map=scatter(dots), figures={"share_of_variance": share})
