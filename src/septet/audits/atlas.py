"""View: training, held-out and drawn items on one map."""

import torch

from ..data.batches import evenly
from ..folders.pictures import uri
from .audited import Audited
from .charts import scatter
from .page import Section

EACH = 120  # items of each kind
SMALL = 64  # pixels of a preview


def view(audited: Audited) -> Section | None:
    """Principal axes of real items' features (Pearson 1901): far dots are unlike, near ones need not be alike.
    None where there are none."""
    if len(audited.dataset) < 3:
        return None
    dataset, modality = audited.dataset, audited.model.modality
    groups = {
        "training": [(dataset.data[i], dataset.sources[i]) for i in evenly(dataset.training, EACH)],
        "held out": [(dataset.data[i], dataset.sources[i]) for i in evenly(dataset.validation, EACH)],
        "drawn": [
            (o.datum, f"{o.record['prompt'] or 'drawn'}, seed {o.record['seed']}") for o in audited.outputs[:EACH]
        ],
    }
    groups = {name: [(modality.finish(d), said) for d, said in group] for name, group in groups.items() if group}
    features = {name: modality.features([d for d, _ in group]).double() for name, group in groups.items()}
    real = torch.cat([f for name, f in features.items() if name != "drawn"])
    centre = real.mean(0)
    _, lengths, axes = torch.linalg.svd(real - centre, full_matrices=False)
    share = float((lengths[:2] ** 2).sum() / (lengths**2).sum().clamp(min=1e-30))
    dots = {
        name: [
            ((float(x), float(y)), uri(modality.preview(datum, SMALL)), f"{name}: {said}")
            for (x, y), (datum, said) in zip(((features[name] - centre) @ axes[:2].T).tolist(), group, strict=True)
        ]
        for name, group in groups.items()
    }
    told = [
        f"Each dot is an item, placed by the two directions in which real items differ most, which hold {share:.0%} of "
        "how they differ: what is near here may yet differ in the rest. Point at a dot to see it."
    ]
    return Section("map", "Map", told, map=scatter(dots), figures={"share_of_variance": share})
