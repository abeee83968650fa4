"""Builds the captioned colour emoji for the starter `pictures`: python pretraining/emoji.py [--size 40].

Shapes: n pictures, S pixels per side.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import arrays
import numpy as np
import resvg_py
from packages import fetch
from PIL import Image

from septet.data.duplicates import Groups

CACHE = Path.home() / ".cache" / "septet-build"
LABELS = (
    "npm:emojibase-data",
    "17.0.0",
    "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
)
STYLES = {
    "3d": (
        "npm:@lobehub/fluent-emoji-3d",
        "1.1.0",
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    ),
    "flat": (
        "npm:@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    ),
    "gradient": (
        "npm:@iconify-json/fluent-emoji",
        "1.2.7",
        "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b",
    ),
    "noto": (
        "npm:@iconify-json/noto",
        "1.2.9",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
    ),
    "blob": (
        "npm:@iconify-json/noto-v1",
        "1.2.5",
        "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
    ),
}
MORE = {
    "emojione": (
        "npm:@iconify-json/emojione",
        "1.2.3",
        "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
    ),
    "twemoji": (
        "npm:@iconify-json/twemoji",
        "1.2.5",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
    ),
    "ink": (
        "npm:@iconify-json/fluent-emoji-high-contrast",
        "1.2.6",
        "0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0",
    ),
}
DRAWN = {name: pin for name, pin in (STYLES | MORE).items() if name not in ("3d", "gradient")}
# sets without code points, whose files have the names of another set's
NAMED_AS = {"gradient": "flat", "blob": "noto", "emojione": "twemoji"}
SPLITS = ("train", "validation", "test")
HELD_OUT = 0.05  # share of the concepts for validation, and for test
RENDERED = 192  # pixels per side at which drawings are rendered before downsampling
THUMBNAIL, TWIN = 12, 24  # pixels per side; largest difference (of 255) at any pixel between near duplicates
COMPONENTS, SYMBOLS, FLAGS = 2, 8, 9  # emojibase's groups: skin tones and hair, symbols, flags
SIDED = ("left", "right", "clock", "thirty", "button", "chart", "abc", "1234", "hundred", "dollar", "calendar")
SIGNS = {"FE0F", "200D", "2640", "2642", "27A1"}  # variation, joiner, female, male, facing right
ADULTS = {"1F468": "1F9D1", "1F469": "1F9D1"}  # man and woman to person


@dataclass(frozen=True)
class Emoji:
    """One picture in a style: its code points, label and tags, whether it may be mirrored, and its file."""

    code: str
    label: str
    tags: tuple[str, ...]
    mirrors: bool
    style: str
    source: bytes

    @property
    def prompt(self) -> str:
        return f"{self.label}, {self.style}"

    @property
    def concept(self) -> str:
        """The code points without gender, so that variants of man, woman and person are in the same split."""
        return "-".join(ADULTS.get(part, part) for part in self.code.split("-") if part not in SIGNS) or self.code


def key(code: str) -> str:
    """Code points without variation selectors: "263A-FE0F" is "263A"."""
    return "-".join(part for part in code.upper().split("-") if part != "FE0F")


def member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as opened:
        file = opened.extractfile(f"package/{name}")
        assert file is not None
        return file.read()


def labels(archives: Path) -> dict[str, dict[str, Any]]:
    """emojibase's entries by code points, without flags, components and skin tones."""
    entries = json.loads(member(fetch(*LABELS, archives), "en/data.json"))
    return {key(e["hexcode"]): e for e in entries if e.get("group", FLAGS) not in (COMPONENTS, FLAGS)}


def pictures(archives: Path) -> Iterator[tuple[str, bytes]]:
    """(code points, WebP) of the 3D style."""
    with tarfile.open(fetch(*STYLES["3d"], archives)) as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.name.endswith(".webp") else None
            if file is not None:
                yield key(Path(entry.name).stem), file.read()


def drawings(style: str, archives: Path) -> Iterator[tuple[str, bytes]]:
    """(code points, SVG) of a style of vector drawings."""
    pins = STYLES | MORE
    codes = json.loads(member(fetch(*pins[NAMED_AS.get(style, style)], archives), "chars.json"))
    content = json.loads(member(fetch(*pins[style], archives), "icons.json"))
    for code, name in codes.items():
        alias = content.get("aliases", {}).get(name, {})
        icon = content["icons"].get(alias.get("parent", name))
        if icon is None:
            continue
        width, height = (icon.get(side, content.get(side, 16)) for side in ("width", "height"))
        body = f'<g transform="translate({width}) scale(-1 1)">{icon["body"]}</g>' if "hFlip" in alias else icon["body"]
        box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        yield key(code), f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{body}</svg>'.encode()


def gather(archives: Path, styles: Iterable[str] = STYLES) -> Iterator[Emoji]:
    """All labelled pictures of the styles."""
    known = labels(archives)
    for style in styles:
        seen: set[str] = set()
        for code, source in pictures(archives) if style == "3d" else drawings(style, archives):
            if code not in known or code in seen:
                continue
            seen.add(code)
            label, tags = known[code]["label"], tuple(known[code].get("tags", ()))
            mirrors = known[code]["group"] != SYMBOLS and not any(word in label.lower() for word in SIDED)
            yield Emoji(code, label, tags, mirrors, style, source)


def rendered(source: bytes, side: int) -> Image.Image:
    """Renders an SVG to a picture of at most side x side pixels."""
    sides = {"width": side, "height": side, "skip_system_fonts": True}
    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=source.decode(), **sides))))


def draw(source: bytes, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Renders to uint8 (S, S, 4), straight alpha, with a margin of 1/24 for shifted views; and to a premultiplied
    thumbnail of fixed size."""
    margin = size // 24
    inner = size - 2 * margin
    whole = rendered(source, RENDERED) if source.startswith(b"<svg") else Image.open(io.BytesIO(source))
    picture = whole.convert("RGBA").convert("RGBa")  # premultiplied: no dark fringes
    thumbnail = np.asarray(picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    small = picture.resize((inner, inner), Image.Resampling.LANCZOS).convert("RGBA")
    whole = np.zeros((size, size, 4), np.uint8)
    whole[margin : margin + inner, margin : margin + inner] = np.asarray(small)
    whole[whole[..., 3] == 0] = 0
    return whole, thumbnail


def ways(prompt: str, tags: tuple[str, ...], stream: np.random.Generator) -> list[str]:
    """Variants of a prompt: in full, with the style first, without a style, two tags only, or with a tag."""
    label, _, style = prompt.rpartition(", ")
    chosen = [str(tag) for tag in stream.choice(tags, min(2, len(tags)), replace=False)] if tags else [label]
    return [prompt, f"{style} {label}", label, f"{' '.join(chosen)}, {style}", f"{label}, {chosen[0]}, {style}"]


def assign(emoji: list[Emoji], thumbnails: np.ndarray) -> np.ndarray:
    """uint8 split of each picture, by concept; concepts with near-duplicate pictures, mirrored or not, are kept
    together."""
    groups = Groups()
    for one, other in twins(emoji, thumbnails):
        groups.join(emoji[one].concept, emoji[other].concept)
    splits = []
    for item in emoji:
        share = int.from_bytes(hashlib.sha256(groups.find(item.concept).encode()).digest()[:8], "big") / 2**64
        splits.append(1 if share < HELD_OUT else 2 if share < 2 * HELD_OUT else 0)
    return np.array(splits, np.uint8)


def twins(emoji: list[Emoji], thumbnails: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of near-duplicate pictures within a style, mirrored or not."""
    flipped = thumbnails[:, :, ::-1].reshape(len(thumbnails), -1).astype(np.int16)
    plain = thumbnails.reshape(len(thumbnails), -1).astype(np.int16)
    members = defaultdict(list)
    for n, item in enumerate(emoji):
        members[item.style].append(n)
    for group in members.values():
        index = np.array(group)
        for place, n in enumerate(group):
            rest = index[place + 1 :]
            for shown in (plain, flipped):
                same = np.abs(plain[rest] - shown[n]).max(1, initial=0) <= TWIN
                yield from ((n, int(other)) for other in rest[same])


def build(out: Path, archives: Path, size: int = 48) -> None:
    """Renders all pictures at `size` pixels per side and writes them to `out`."""
    emoji = list(gather(archives))
    with multiprocessing.Pool(2) as pool:
        drawn = pool.starmap(draw, [(item.source, size) for item in emoji], chunksize=64)
    kept = [n for n, (picture, _) in enumerate(drawn) if picture[..., 3].mean() > 2]
    emoji, drawn = [emoji[n] for n in kept], [drawn[n] for n in kept]
    splits = assign(emoji, np.stack([thumbnail for _, thumbnail in drawn]))
    save(out, emoji, np.stack([picture for picture, _ in drawn]), splits)


def save(out: Path, emoji: list[Emoji], drawn: np.ndarray, splits: np.ndarray) -> None:
    """Writes the pictures with their prompts, code points and tags to one file."""
    texts, offsets = arrays.packed(["\t".join((item.prompt, item.code, *item.tags)) for item in emoji])
    styles = list(STYLES)
    built = {
        "pictures": drawn,
        "texts": texts,
        "offsets": offsets,
        "splits": splits,
        "styles": np.array([styles.index(item.style) for item in emoji], np.uint8),
        "mirrors": np.array([item.mirrors for item in emoji]),
    }
    arrays.save(out, built)


@dataclass(frozen=True)
class Collection:
    """The dataset: uint8 pictures (n, S, S, 4); prompts "label, style"; tags; code points; splits as in SPLITS; styles
    as indices of STYLES; whether each may be mirrored."""

    pictures: np.ndarray
    prompts: list[str]
    tags: list[tuple[str, ...]]
    codes: list[str]
    splits: np.ndarray
    styles: np.ndarray
    mirrors: np.ndarray


def load(path: Path = CACHE / "emoji.npz") -> Collection:
    with np.load(path, allow_pickle=False) as data:
        rows = [text.split("\t") for text in arrays.unpacked(data["texts"], data["offsets"])]
        pictures, *rest = (data[name] for name in ("pictures", "splits", "styles", "mirrors"))
    prompts, codes, tags = [r[0] for r in rows], [r[1] for r in rows], [tuple(r[2:]) for r in rows]
    return Collection(pictures, prompts, tags, codes, *rest)


def report(path: Path) -> str:
    """Counts of each style and split."""
    found = load(path)
    lines = [f"{'style':10s}" + "".join(f"{name:>12s}" for name in SPLITS)]
    for n, style in enumerate([*STYLES, "all"]):
        chosen = found.styles == n if style != "all" else found.styles >= 0
        lines.append(f"{style:10s}" + "".join(f"{int((found.splits[chosen] == s).sum()):12d}" for s in range(3)))
    concepts = [len({c for c, s in zip(found.codes, found.splits, strict=True) if s == split}) for split in range(3)]
    lines.append(f"{'emoji':10s}" + "".join(f"{n:12d}" for n in concepts))
    return "\n".join([*lines, f"{int(found.mirrors.sum())} of {len(found.mirrors)} may be mirrored"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--archives", type=Path, default=CACHE)
    options = parser.parse_args()
    out = options.out or CACHE / (f"emoji-{options.size}.npz" if options.size != 48 else "emoji.npz")
    build(out, options.archives, options.size)
    print(report(out))
    print(out)
