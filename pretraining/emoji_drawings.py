"""Builds the captioned colour drawings for the starter `emoji`: python pretraining/emoji_drawings.py.

Shapes: n drawings.
"""

import argparse
import multiprocessing
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import arrays
import emoji
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from septet.codecs.paths import Paths
from septet.modalities.drawing import Drawing, Figure
from septet.modalities.vector import Vector, render
from septet.space import Refusal

COLOURS = 96  # of all styles together
LENGTH = 448  # most symbols of a drawing, including its end
UNSEEN, UNSEEN_IN_ALL = 0.002, 0.006  # largest mean pixel differences when one figure is omitted, and all of them
WORST = 0.035  # largest mean difference of premultiplied 48 x 48 pixels between a drawing and its source
SIDE = 48  # a multiple of emoji.THUMBNAIL


def draw(item: emoji.Emoji) -> tuple[Drawing, np.ndarray] | str:
    """The drawing and its uint8 thumbnail; or the reason to omit it."""
    try:
        drawing = visible(READER.take(item.source))
    except Refusal:
        return "unreadable"
    shown, wanted = emoji.rendered(item.source, SIDE), Image.new("RGBA", (SIDE, SIDE))
    wanted.paste(shown, ((SIDE - shown.width) // 2, (SIDE - shown.height) // 2))
    drawn = render(drawing, SIDE).convert("RGBa")  # premultiplied
    seen = np.asarray(drawn, np.float32) / 255
    if unlike(drawn, wanted.convert("RGBa")) > WORST:
        return "not as drawn"  # for example, because of masks or clipping
    if seen[..., 3].mean() < 0.005:
        return "empty"
    small = drawn.resize((emoji.THUMBNAIL, emoji.THUMBNAIL), Image.Resampling.BOX)
    return drawing, np.asarray(small)


def visible(drawing: Drawing) -> Drawing:
    """The drawing without figures that are hardly visible, such as small highlights and covered ones; removes the least
    visible ones first."""
    whole = render(drawing, SIDE).convert("RGBa")

    def lost(figures: list[Figure]) -> float:
        return unlike(render(Drawing(tuple(figures)), SIDE).convert("RGBa"), whole)

    kept = list(drawing.figures)
    costs = [lost(kept[:n] + kept[n + 1 :]) for n in range(len(kept))]
    for n in sorted(range(len(costs)), key=costs.__getitem__):
        fewer = [figure for figure in kept if figure is not drawing.figures[n]]
        if costs[n] <= UNSEEN and fewer and lost(fewer) <= UNSEEN_IN_ALL:
            kept = fewer
    return Drawing(tuple(kept))


def unlike(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures, 0 to 1."""
    return float(np.abs(np.asarray(one, np.float32) - np.asarray(other, np.float32)).mean() / 255)


READER = Vector(palette=COLOURS)


@dataclass(frozen=True)
class Collection:
    """The dataset: symbols of `codec`, int64 (n,) each; prompts "label, style"; tags; splits as in emoji.SPLITS;
    whether each may be mirrored."""

    codec: Paths
    symbols: list[Tensor]
    prompts: list[str]
    tags: list[tuple[str, ...]]
    splits: np.ndarray
    mirrors: np.ndarray


def build(out: Path, archives: Path) -> Counter[str]:
    """Writes the data to `out`; returns how many drawings were omitted, by reason."""
    items = list(emoji.gather(archives, emoji.DRAWN))
    torch.set_num_threads(1)
    with multiprocessing.Pool(2) as pool:
        results = pool.map(draw, items, chunksize=64)
    left_out = Counter(result for result in results if isinstance(result, str))
    items = [item for item, result in zip(items, results, strict=True) if not isinstance(result, str)]
    found = [result for result in results if not isinstance(result, str)]
    splits = emoji.assign(items, np.stack([thumbnail for _, thumbnail in found]))
    training = [drawing for (drawing, _), split in zip(found, splits, strict=True) if split == 0]
    learned, _ = READER.learned(training)
    codec, rows = Paths(length=LENGTH, colours=learned.colours or ()), []
    for item, (drawing, _), split in zip(items, found, splits, strict=True):
        try:
            rows.append((item, codec.encode([drawing])[0], split))
        except Refusal:
            left_out["too long"] += 1
    save(out, codec, rows)
    return left_out


def save(out: Path, codec: Paths, rows: list[tuple[emoji.Emoji, Tensor, int]]) -> None:
    """Writes the symbols with their prompts and tags, and the codec's colours, to one file."""
    texts, text_offsets = arrays.packed(["\t".join((item.prompt, *item.tags)) for item, _, _ in rows])
    built = {
        "symbols": torch.cat([symbols for _, symbols, _ in rows]).numpy().astype(np.int16),
        "offsets": np.cumsum([0, *(len(symbols) for _, symbols, _ in rows)]),
        "texts": texts,
        "text_offsets": text_offsets,
        "splits": np.array([split for _, _, split in rows], np.uint8),
        "mirrors": np.array([item.mirrors for item, _, _ in rows]),
        "colours": np.array([list(bytes.fromhex(colour[1:])) for colour in codec.colours], np.uint8),
    }
    arrays.save(out, built)


def load(path: Path = emoji.CACHE / "emoji-drawings.npz") -> Collection:
    with np.load(path, allow_pickle=False) as data:
        told = [text.split("\t") for text in arrays.unpacked(data["texts"], data["text_offsets"])]
        symbols = torch.from_numpy(data["symbols"].astype(np.int64)).split(np.diff(data["offsets"]).tolist())
        codec = Paths(length=LENGTH, colours=["#" + bytes(colour).hex() for colour in data["colours"]])
        prompts, tags = [row[0] for row in told], [tuple(row[1:]) for row in told]
        return Collection(codec, list(symbols), prompts, tags, data["splits"], data["mirrors"])


def report(path: Path) -> str:
    """Counts by style and split, and numbers of symbols per drawing."""
    found = load(path)
    styles = np.array([prompt.rpartition(", ")[2] for prompt in found.prompts])
    lengths = np.array([len(symbols) for symbols in found.symbols])
    lines = [f"{'style':10s}" + "".join(f"{name:>12s}" for name in (*emoji.SPLITS, "median", "90 %"))]
    for style in (*emoji.DRAWN, "all"):
        chosen = styles == style if style != "all" else styles != ""
        counts = [int((found.splits[chosen] == split).sum()) for split in range(3)]
        marks = [round(float(np.percentile(lengths[chosen], p))) for p in (50, 90)]
        lines.append(f"{style:10s}" + "".join(f"{n:12d}" for n in (*counts, *marks)))
    return "\n".join([*lines, f"{int(found.mirrors.sum())} of {len(lengths)} may be mirrored"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=emoji.CACHE / "emoji-drawings.npz")
    parser.add_argument("--archives", type=Path, default=emoji.CACHE)
    options = parser.parse_args()
    print("omitted:", dict(build(options.out, options.archives)))
    print(report(options.out))
    print(options.out)
