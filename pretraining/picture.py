"""Makes the README's pictures: training data and progress of `icons`, and samples of the starters for prompts."""

import argparse
import csv
from pathlib import Path

import icons
import numpy as np
from PIL import Image

import septet
from septet.output import Output, Outputs

DOCS = Path(__file__).parent.parent / "docs"
ROWS = (2, 5, 8)  # the ones that are shown of the twelve previews


def stacked(rows: list[Image.Image]) -> Image.Image:
    """Stacks pictures of the same width vertically."""
    whole = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        whole.paste(row.convert("RGB"), (0, top))
        top += row.height
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=icons.CACHE / "icons.npz")
    parser.add_argument("--previews", type=Path, default=icons.CACHE / "models" / "icons" / "previews.png")
    options = parser.parse_args()
    model = septet.load("icons")
    symbols, prompts, splits = icons.load(options.data)
    shown = np.random.default_rng(5).choice(np.flatnonzero(splits == 1), 12, replace=False)  # as train_icons previews
    real = Outputs(Output(model.decode(symbols[i][None])[0], {}, model.modality) for i in shown)
    previews = Image.open(options.previews).convert("RGB")
    height = previews.height // 12
    moments = [previews.crop((0, row * height, previews.width, (row + 1) * height)) for row in ROWS]
    made = model.generate([prompts[i] for i in shown], seed=0, tile=12)
    learned = [real.sheet(96, columns=12), *moments, made.sheet(96, columns=12)]
    (DOCS / "images").mkdir(parents=True, exist_ok=True)
    stacked(learned).save(DOCS / "images" / "learned.png", optimize=True)
    for name, columns in {"icons": 12, "emoji": 8}.items():
        if name not in septet.models.starters():
            continue
        with open(DOCS / "prompts" / f"{name}.csv", newline="") as file:
            asked = [row["prompt"] for row in csv.DictReader(file)]
        sheet = septet.load(name).generate(asked, seed=0, tile=columns).sheet(96, columns=columns)
        sheet.convert("RGB").save(DOCS / "images" / f"{name}.png")


if __name__ == "__main__":
    main()
