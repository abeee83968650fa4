"""What the sections of a model's audit page are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..generator import Generator
from ..originality.calibration import Verdict
from ..originality.evidence import Evidence
from ..output import Output


@dataclass(frozen=True)
class Audited:
    """A model, its folder, the facts of its training (`run`), its data, outputs for held-out prompts with a verdict on
    each, and the evidence for the verdicts; with too few data for calibration, there are no verdicts and `evidence` is
    None. If the data are not available, `dataset` is empty and prompts consist of words from training. `settings` are
    the sampling settings that differ from the model's own."""

    model: Generator
    folder: Path
    run: dict[str, Any]
    source: Path | None
    dataset: Dataset
    outputs: Sequence[Output]
    verdicts: Sequence[Verdict]
    evidence: Evidence | None
    figures: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The words for an example: a real item, or, without data, a sample."""
        return "a real item" if len(self.dataset) else "one of its own samples"
