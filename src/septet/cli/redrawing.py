"""Items of a list that are new: what stands in the data, or came before, is drawn anew from later seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..contracts import Prompt
from ..generator import Generator, Given, Moment
from ..originality import evidence
from ..originality.evidence import Evidence
from ..originality.spans import normalised
from ..space import Refusal

ROUNDS = 10  # of drawing what is missing


@dataclass
class Fresh:
    """Which items are taken, by what a model keeps of its data; `seed` is the next that nothing was drawn from, and
    `left_out` counts what was not taken."""

    kept: Evidence | None
    seed: int
    seen: set[str] = field(default_factory=set)
    left_out: int = 0

    def takes(self, item: str) -> bool:
        """Whether there is an item, neither in the data nor taken before; which it is now."""
        own, known = normalised(item), evidence.lines_marked(self.kept, [item])
        taken = bool(own) and own not in self.seen and not (known and known[0])
        self.seen.add(own)
        self.left_out += not taken
        return taken

    def sentence(self, wanted: int, made: int) -> str | None:
        """What became of the items that were not taken."""
        if not self.left_out:
            return None
        short = "" if made == wanted else f" No more than {made:,} of {wanted:,} were found."
        return (
            f"{self.left_out:,} more were drawn that stand in your data or had been drawn before, and left out; new=no "
            f"keeps them.{short}"
        )


def fresh_of(model: Generator, asked: Any, kept: Evidence | None, seed: int) -> Fresh | None:
    """What `new=` asks for, of models of lists alone; `seed` is the first that is free."""
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
    """As `Generator.generating`, without the outputs that are not fresh, for which others are drawn."""
    for _ in range(ROUNDS if fresh else 1):
        missing = 0
        for moment in model.generating(asked, given, tile, **settings):
            kept = [output for output in moment.outputs if fresh is None or fresh.takes(output.text)]
            missing += len(moment.outputs) - len(kept)
            yield replace(moment, outputs=kept)
        if fresh is None or not missing:
            return
        asked, fresh.seed = [(asked[0][0], fresh.seed + k) for k in range(missing)], fresh.seed + missing
