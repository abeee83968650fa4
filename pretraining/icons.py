"""Builds the captioned icons for the starter `icons`: python pretraining/icons.py [OUT.npz] [ARCHIVES].

Shapes: B icons, S pixels per side.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import arrays
import numpy as np
import resvg_py
import torch
from packages import ICONS, fetch
from PIL import Image
from torch import Tensor

from septet.codecs.paths import Paths
from septet.data.duplicates import Groups
from septet.modalities.descriptors import likeness
from septet.modalities.svg import parse_svg
from septet.modalities.vector import arrange, shades
from septet.space import Refusal

CACHE = Path.home() / ".cache" / "septet-build"
OPENING = '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24"'
SPLITS = ("train", "validation", "test")
HELD_OUT = 0.04  # share of the concepts for validation, and for test
WORST = 0.035  # largest mean pixel difference, at 64 pixels, between a drawing and its round trip through the codec
TWIN = 0.35  # feature distance below which two drawings, rotated or mirrored, are near duplicates
SIZES = (24, 20, 28, 32, 48, 16, 12, 10, 14, 64, 96)  # in order of preference: one per concept and style is kept
SIZED = r"(.+?)-(\d+)(-solid)?"
THIN = ("ph", "fluent")  # sets with several stroke weights
INNER = ("bi", "carbon", "pixelarticons", "octicon")  # sets in which styles also occur in the middle of a name


@dataclass(frozen=True)
class Icon:
    """One icon of a set: its caption, style, other names and SVG source."""

    collection: str
    caption: str
    style: str
    others: tuple[str, ...]
    source: str

    @property
    def prompt(self) -> str:
        return f"{self.caption}, {self.style}, {self.collection}"


def words(name: str) -> list[str]:
    """The words of a name: "calendar3-off" gives calendar, 3, off; "3d" and "h1" stay whole."""
    return [word for part in name.split("-") if part for word in re.sub(r"([a-z]{3,})(\d+)$", r"\1 \2", part).split()]


def describe(collection: str, name: str) -> tuple[str, str, int]:
    """(caption, style, size), parsed from a name by the conventions of its set; size 0 if the name has none."""
    size = 0
    pattern = {"fluent": r"(.+?)-(\d+)-((?:regular|filled|light|color).*)", "octicon": SIZED, "heroicons": SIZED}
    found = re.fullmatch(pattern[collection], name) if collection in pattern else None
    if found and int(found[2]) in SIZES:
        size = int(found[2])
        first, _, rest = (found[3] or "").strip("-").partition("-")
        name = "-".join(filter(None, (found[1], rest, first)))
    parts = words(name)
    style = {"mdi": "filled", "material-symbols": "filled", "pixelarticons": "pixel"}.get(collection, "outline")
    if collection in ("mdi", "material-symbols", "carbon") and "outline" in parts[1:]:
        parts.remove("outline")
        style = "outline"
    marks = dict.fromkeys(("fill", "filled", "solid"), "filled") | {"duotone": "duotone", "regular": style}
    marks |= {"sharp": f"{style} sharp"} | {name: name for name in ("bold", "light", "thin") if collection in THIN}
    if collection == "material-symbols":
        marks = {name: f"{style} {name}" for name in ("rounded", "sharp")}
    elif collection in ("mdi", "lucide"):
        marks = {}
    last = next((i for i in range(len(parts) - 1, 0, -1) if parts[i] in marks), 0)
    if last and (last == len(parts) - 1 or collection in INNER):
        style = marks[parts.pop(last)]
    return " ".join(parts), style, size


def concept(caption: str) -> str:
    """The caption, normalised over differences without meaning: word order, plurals, numbers beside words."""
    parts = {re.sub(r"(?<=..[^s])s$", "", word) for word in caption.split()}
    return " ".join(sorted({word for word in parts if not word.isdigit()} or parts))


def gather(archives: Path) -> Iterator[Icon]:
    """All icons of all sets, in one size each."""
    for collection, pin in ICONS.items():
        with tarfile.open(fetch(*pin, archives)) as archive:
            member = archive.extractfile("package/icons.json")
            assert member is not None
            content = json.load(member)
        others: dict[str, list[str]] = {}
        for name, alias in content.get("aliases", {}).items():
            if set(alias) <= {"parent", "hidden"}:
                others.setdefault(alias["parent"], []).append(name)
        best: dict[tuple[str, str], tuple[int, Icon]] = {}
        for name, icon in content["icons"].items():
            caption, style, size = describe(collection, name)
            sides = [icon.get(side, content.get(side, 16)) for side in ("width", "height")]
            box = f"{icon.get('left', 0)} {icon.get('top', 0)} {sides[0]} {sides[1]}"
            source = f'{OPENING} viewBox="{box}">{icon["body"]}</svg>'
            captions = {describe(collection, other)[0] for other in others.get(name, [])} - {caption}
            rank = SIZES.index(size) if size in SIZES else len(SIZES) if size else 0
            if collection == "octicon" and not size:
                rank = len(SIZES)  # from an older edition
            entry = (rank, Icon(collection, caption, style, tuple(sorted(captions)), source))
            if (caption, style) not in best or rank < best[caption, style][0]:
                best[caption, style] = entry
        yield from (icon for _, icon in best.values())


def draw(icon: Icon) -> tuple[np.ndarray, np.ndarray, str]:
    """(int16 symbols, uint8 greyscale of 32 pixels, "") of an icon; or two empty arrays and the reason to omit
    it."""
    nothing = np.zeros(0, dtype=np.int16)
    try:
        drawing = arrange(parse_svg(icon.source.encode()))
    except Refusal:
        return nothing, nothing, "unreadable"
    try:
        symbols_BN = CODEC.encode([drawing])
    except Refusal:
        return nothing, nothing, "too long"
    drawn = shades(CODEC.decode(symbols_BN)[0], 64)
    data = resvg_py.svg_to_bytes(svg_string=icon.source, width=64, height=64, skip_system_fonts=True)
    original = np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGBA").getchannel("A"), dtype=np.float32) / 255
    if drawn.mean() < 0.002:
        return nothing, nothing, "empty"
    if np.abs(drawn - original).mean() > WORST:
        return nothing, nothing, "not as drawn"
    small = np.round(drawn.reshape(32, 2, 32, 2).mean((1, 3)) * 255).astype(np.uint8)
    return symbols_BN[0].numpy().astype(np.int16), small, ""


CODEC = Paths()


def assign(icons: list[Icon]) -> np.ndarray:
    """uint8 split of each icon, by concept; concepts that share other names of an icon are kept together."""
    groups = Groups()
    for icon in icons:
        for other in icon.others:
            groups.join(concept(icon.caption), concept(other))
    splits = []
    for icon in icons:
        draw = int.from_bytes(hashlib.sha256(groups.find(concept(icon.caption)).encode()).digest()[:8], "big") / 2**64
        splits.append(1 if draw < HELD_OUT else 2 if draw < 2 * HELD_OUT else 0)
    return np.array(splits, dtype=np.uint8)


def features(shades_BSS: Tensor) -> Tensor:
    return torch.cat([likeness(part.float() / 255) for part in shades_BSS.split(2048)])


def twins(shades_BSS: Tensor, splits: np.ndarray) -> np.ndarray:
    """Whether each icon of the training split is a near duplicate of a held-out one, in any of eight orientations."""
    train, held = np.flatnonzero(splits == 0), np.flatnonzero(splits != 0)
    known = features(shades_BSS[train])
    norms = known.square().sum(1)
    found = torch.zeros(len(train), dtype=torch.bool)
    for turns in range(4):
        for mirrored in (False, True):
            turned = torch.rot90(shades_BSS[held], turns, (1, 2))
            asked = features(turned.flip(2) if mirrored else turned)
            for part in asked.split(1024):
                squares = part.square().sum(1)[:, None] + norms - 2 * part @ known.T
                found |= (squares < TWIN**2).any(0)
    result = np.zeros(len(splits), dtype=bool)
    result[train] = found.numpy()
    return result


def build(out: Path, archives: Path) -> dict[str, int]:
    """Writes the data to `out`; returns how many icons were omitted, by reason."""
    icons = list(gather(archives))
    torch.set_num_threads(1)
    with multiprocessing.Pool(2) as pool:
        results = pool.map(draw, icons, chunksize=256)
    left_out: dict[str, int] = {}
    for _, _, reason in results:
        if reason:
            left_out[reason] = left_out.get(reason, 0) + 1
    kept = [(icon, *drawn) for icon, (*drawn, reason) in zip(icons, results, strict=True) if not reason]
    icons = [icon for icon, _, _ in kept]
    splits = assign(icons)
    torch.set_num_threads(2)
    twin = twins(torch.from_numpy(np.stack([small for _, _, small in kept])), splits)
    left_out["twin of a held-out icon"] = int(twin.sum())
    rows = []
    collections = list(ICONS)
    for n, (icon, symbols, _) in enumerate(kept):
        if twin[n]:
            continue
        prompts = [icon.prompt]
        if splits[n] == 0:  # other names serve as synonyms in training; held-out icons count once
            prompts += [f"{other}, {icon.style}, {icon.collection}" for other in icon.others[:2]]
        rows += [(symbols, prompt, splits[n], collections.index(icon.collection)) for prompt in prompts]
    save(out, rows)
    return left_out


def save(out: Path, rows: list[tuple]) -> None:
    """Writes rows of (symbols, prompt, split, set) to one compressed .npz file."""
    prompts, prompt_offsets = arrays.packed([prompt for _, prompt, _, _ in rows])
    built = {
        "symbols": np.concatenate([symbols for symbols, _, _, _ in rows]),
        "offsets": np.cumsum([0, *(len(symbols) for symbols, _, _, _ in rows)]),
        "prompts": prompts,
        "prompt_offsets": prompt_offsets,
        "splits": np.array([split for _, _, split, _ in rows], dtype=np.uint8),
        "sets": np.array([collection for _, _, _, collection in rows], dtype=np.uint8),
    }
    arrays.save(out, built)


def load(path: Path = CACHE / "icons.npz") -> tuple[list[Tensor], list[str], np.ndarray]:
    """(symbols, int64 (n,) per icon, with the end symbol; prompts; uint8 splits as in SPLITS)."""
    with np.load(path, allow_pickle=False) as data:
        symbols = torch.from_numpy(data["symbols"].astype(np.int64))
        lengths = np.diff(data["offsets"]).tolist()
        prompts = arrays.unpacked(data["prompts"], data["prompt_offsets"])
        return list(symbols.split(lengths)), prompts, data["splits"]


def report(path: Path) -> str:
    """Counts by set and split, and numbers of symbols per icon."""
    symbols, _, splits = load(path)
    with np.load(path, allow_pickle=False) as data:
        sets = data["sets"]
    lengths = np.array([len(s) for s in symbols])
    lines = [f"{'set':18s}{'train':>8s}{'valid':>8s}{'test':>8s}{'median':>8s}{'90 %':>8s}"]
    for n, name in enumerate([*ICONS, "all"]):
        chosen = sets == n if name != "all" else sets >= 0
        if not chosen.any():
            continue
        counts = [int((splits[chosen] == split).sum()) for split in range(3)]
        marks = [round(float(np.percentile(lengths[chosen], p))) for p in (50, 90)]
        lines.append(f"{name:18s}" + "".join(f"{n:8d}" for n in (*counts, *marks)))
    return "\n".join([*lines, f"{int(lengths.sum())} symbols in all"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=CACHE / "icons.npz")
    parser.add_argument("archives", nargs="?", type=Path, default=CACHE)
    options = parser.parse_args()
    print("omitted:", build(options.out, options.archives))
    print(report(options.out))
    print(options.out)
