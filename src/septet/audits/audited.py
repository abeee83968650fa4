"""What the views of a model's page are made from."""

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
    """A model, its folder, the facts of its training, the data it was trained on, what it drew for held-out prompts
    with a verdict on each, and by what these were judged; None and nothing where too few data calibrate. Where the data
    are not there, `dataset` is empty and the prompts are in the words of training. `settings` are those it drew with,
    where they are not its own."""

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
        """What views look at: a real item, or, without data, what the model drew itself."""
        return "a real item" if len(self.dataset) else "one of its own draws"
