"""A list of names in a made-up language: after two minutes of training, how many generated names are new and valid.

    python benchmarks/names.py [--quick] [--seeds 3] [--budget 2m]

The language, defined below, has millions of names and three rules, two of which span a whole name. The model is trained
by the command line on 5,000 different names, sorted, one per line; 500 names are sampled (`new=no`) and checked against
the rules.
"""

import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import measure.report as report
from measure.command import said
from measure.report import Figure

NAMES, DRAWN = 5000, 500
NEW, ACCEPTED = 0.9, 0.9
HARD, SOFT = (
    ("b", "d", "g", "k", "p", "t", "br", "dr", "kr", "tr"),
    ("f", "l", "m", "n", "s", "v", "y", "fl", "sm", "vr"),
)
VOWELS = ("a", "o", "u"), ("e", "i", "y")
CODAS = ("", "", "", "l", "n", "r", "s")  # of a syllable; most have none
ENDINGS = {True: ("k", "th"), False: ("sh", "m")}  # of names that begin hard, and soft
SYLLABLES = (2, 2, 3)


def name(stream: random.Random) -> str:
    """A random name. Its vowels are all dark or all light, its ending depends on its beginning, and the syllable after
    a closed one begins soft."""
    vowels, hard, closed, made = stream.choice(VOWELS), None, False, ""
    count = stream.choice(SYLLABLES)
    for place in range(count + 1):
        onset = stream.choice(SOFT if closed else (*HARD, *SOFT))
        hard = onset in HARD if hard is None else hard
        coda = stream.choice(CODAS) if place < count else stream.choice(ENDINGS[hard])
        closed = coda != ""
        made += onset + stream.choice(vowels) + coda
    return made


def accepted(text: str) -> bool:
    """Whether a text can be parsed as a name that follows all rules."""
    return any(_read(text, vowels, None, 0, False) for vowels in VOWELS)


@lru_cache(1 << 20)
def _read(text: str, vowels: tuple[str, ...], hard: bool | None, before: int, closed: bool) -> bool:
    """Whether `text` can complete a name after `before` syllables, of which the first was `hard` (or soft) and the last
    `closed` (or open)."""
    for onset in SOFT if closed else (*HARD, *SOFT):
        after = text[len(onset) :]
        if not text.startswith(onset) or not after.startswith(vowels):
            continue
        begun = onset in HARD if hard is None else hard
        if before in SYLLABLES and after[1:] in ENDINGS[begun]:
            return True
        rests = [(coda, after[1 + len(coda) :]) for coda in set(CODAS) if after.startswith(coda, 1)]
        if before < max(SYLLABLES) and any(_read(rest, vowels, begun, before + 1, coda != "") for coda, rest in rests):
            return True
    return False


def counted(names: Sequence[str], order: int, stream: random.Random) -> Iterator[str]:
    """Names sampled from an n-gram model, in which each character depends on the previous `order`: a baseline."""
    follow: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in names:
        whole = "^" * order + one + "$"
        for place in range(order, len(whole)):
            follow[whole[place - order : place]][whole[place]] += 1
    while True:
        made = "^" * order
        while not made.endswith("$"):
            counts = follow[made[len(made) - order :]]
            made += stream.choices(list(counts), list(counts.values()))[0]
        yield made[order:-1]


def shares(drawn: Sequence[str], known: set[str]) -> tuple[float, float]:
    """The shares of names that are new, and that are valid."""
    return sum(one not in known for one in drawn) / len(drawn), sum(map(accepted, drawn)) / len(drawn)


def drawn_by(source: Path, budget: str, seed: int, count: int) -> list[str]:
    """Trains a model by the command line and samples names from it."""
    model, made = source.parent / f"seed-{seed}", source.parent / f"made-{seed}"
    said(["train", source, "--budget", budget, "--seed", seed, "--out", model], source.parent)
    said(["generate", model, "new=no", "--count", count, "--seed", 0, "--out", made, "--tile", 50], source.parent)
    return [path.read_text() for path in sorted(made.glob("*.txt"))]


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--budget", default="2m")
    asked, began = parser.parse_args(), time.monotonic()
    stream, names = random.Random(0), set()
    while len(names) < NAMES:
        names.add(name(stream))
    seeds, budget, count = (1, "40s", 20) if asked.quick else (asked.seeds, asked.budget, DRAWN)
    found = []
    with tempfile.TemporaryDirectory(prefix="septet-names-") as folder:
        source = Path(folder) / "names.txt"
        source.write_text("\n".join(sorted(names)) + "\n")
        for seed in range(seeds):
            drawn = drawn_by(source, budget, seed, count)
            found.append(shares(drawn, names))
            print(
                f"seed {seed}: {found[-1][0]:.3f} new, {found[-1][1]:.3f} accepted: {', '.join(drawn[:8])}", flush=True
            )
    figures = [
        Figure("new, least of the seeds", min(new for new, _ in found), at_least=NEW),
        Figure("accepted, least of the seeds", min(right for _, right in found), at_least=ACCEPTED),
        Figure("accepted, median", statistics.median(right for _, right in found)),
    ]
    for order in (1, 2, 3):
        drawing = counted(sorted(names), order, random.Random(1))
        figures.append(
            Figure(f"accepted by counts after {order}", shares([next(drawing) for _ in range(2000)], names)[1])
        )
    fresh = [name(stream) for _ in range(2000)]
    figures.append(Figure("new among true names", shares(fresh, names)[0]))
    report.answer(figures, began, asked.quick, budget=budget, names=NAMES, drawn=count)


if __name__ == "__main__":
    main()
