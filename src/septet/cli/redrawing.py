"""New items of a list: those that occur in the data or were generated before are replaced, with later seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..contracts import Prompt
from ..generator import Generator, Given, Moment
from ..originality import evidence
from ..originality.evidence import Evidence
from ..originality.spans import normalised
from ..space import Refusal

ROUNDS = 10  # of replacing


@dataclass
class Fresh:
    """Decides which items are new, by the evidence stored with the model; `seed` is the next unused seed, `left_out`
    counts the items that were not new."""

    kept: Evidence | None
    seed: int
    seen: set[str] = field(default_factory=set)
    left_out: int = 0

    def takes(self, item: str) -> bool:
        """Whether an item is not empty, not in the data and not taken before; from now on it is taken."""
        own, known = normalised(item), evidence.lines_marked(self.kept, [item])
        taken = bool(own) and own not in self.seen and not (known and known[0])
        self.seen.add(own)
        self.left_out += not taken
        return taken

    def sentence(self, wanted: int, made: int) -> str | None:
        """A sentence about the items that were not new."""
        if not self.left_out:
            return None
        short = "" if made == wanted else f" No more than {made:,} of {wanted:,} were found."
        return (
            f"{self.left_out:,} more were generated and dropped, since they are in your data or were generated before; "
            f"new=no keeps them.{short}"
        )


def fresh_of(model: Generator, asked: Any, kept: Evidence | None, seed: int) -> Fresh | None:
    """The Fresh for the option `new=`, for models of lists only; `seed` is the first unused seed."""
    if asked not in ("yes", "no"):
        raise Refusal(f"new={asked}: expected yes or no")
    return Fresh(kept, seed) if asked == "yes" and model.modality.listed else None


def moments(
    model: Generator,
    asked: Sequence[tuple[Prompt, int]],
    given: Given | None,
    tile: int,
    settings: dict[str, Any],
    fresh: Fresh | None,
) -> Iterator[Moment]:
    """As `Generator.generating`, but outputs that are not new are replaced."""
    for _ in range(ROUNDS if fresh else 1):
        missing = 0
        for moment in model.generating(asked, given, tile, **settings):
            kept = [output for output in moment.outputs if fresh is None or fresh.takes(output.text)]
            missing += len(moment.outputs) - len(kept)
            yield replace(moment, outputs=kept)
        if fresh is None or not missing:
            return
        asked, fresh.seed = [(asked[0][0], fresh.seed + k) for k in range(missing)], fresh.seed + missing
