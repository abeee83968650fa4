"""Builds the synonyms for captions of the starter `icons`: python pretraining/tags.py [OUT.json] [ARCHIVES].

Four icon sets list search words for their icons; each concept gets the words of all four.
"""

import argparse
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from icons import CACHE, concept, describe
from packages import TAGS, fetch

from septet.storage import whole

SAID = re.compile(r"[a-z][a-z' -]{1,23}")


def archived(archive: Path, member: str) -> bytes:
    """The bytes of one file of a wheel or a tar archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            return opened.read(member)
    with tarfile.open(archive) as opened:
        file = opened.extractfile(member)
        assert file is not None
        return file.read()


def gather(archives: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(set, name, words) of all icons with search words."""
    found = {name: json.loads(archived(fetch(*pin, archives), member)) for name, (member, pin) in TAGS.items()}
    yield from (("tabler", name, icon["tags"]) for name, icon in found["tabler"].items())
    yield from (("lucide", name, words) for name, words in found["lucide"].items())
    yield from (("ph", icon["name"], icon["tags"]) for icon in found["ph"])
    yield from (("carbon", icon["name"].lower(), icon["aliases"]) for icon in found["carbon"]["icons"])


def build(out: Path, archives: Path) -> int:
    """Writes {concept: words} to `out`; returns the number of concepts with words."""
    tags: dict[str, dict[str, None]] = {}
    for collection, name, words in gather(archives):
        caption, _, _ = describe(collection, name)
        said = [str(word).lower().strip() for word in words]
        tags.setdefault(concept(caption), {}).update(dict.fromkeys(w for w in said if SAID.fullmatch(w)))
    kept = {key: [w for w in words if w not in key.split()] for key, words in sorted(tags.items())}
    kept = {key: words for key, words in kept.items() if words}
    out.parent.mkdir(parents=True, exist_ok=True)
    whole.write(out, json.dumps(kept).encode())
    return len(kept)


def load(path: Path = CACHE / "tags.json") -> dict[str, list[str]]:
    return json.loads(path.read_bytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=CACHE / "tags.json")
    parser.add_argument("archives", nargs="?", type=Path, default=CACHE)
    options = parser.parse_args()
    print(build(options.out, options.archives), "concepts have words")
    print(options.out)
