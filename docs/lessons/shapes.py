"""Draws the data of the lessons: pictures of one shape in one colour, both given in the file name."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {"red": (214, 40, 40), "blue": (40, 90, 220), "green": (40, 160, 80), "yellow": (240, 190, 20)}
SHAPES = ("circle", "square", "triangle", "star")
SIDE, FINE = 24, 8  # pixels, and the factor by which a picture is drawn larger and then shrunk


def picture(colour: str, shape: str, stream: np.random.Generator) -> Image.Image:
    """One shape on white, with random position, size and rotation."""
    canvas = Image.new("RGB", (SIDE * FINE, SIDE * FINE), "white")
    draw, middle = ImageDraw.Draw(canvas), SIDE * FINE / 2
    x, y = middle + stream.uniform(-0.12, 0.12, 2) * SIDE * FINE
    radius, turn = stream.uniform(0.22, 0.34) * SIDE * FINE, float(stream.uniform(0, 90))
    fill = tuple(int(v) for v in np.clip(np.array(COLOURS[colour]) + stream.integers(-15, 16), 0, 255))
    if shape == "circle":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    elif shape == "star":
        angles = np.radians(turn + 36 * np.arange(10))
        reach = np.where(np.arange(10) % 2, 0.45, 1.0) * radius
        draw.polygon(
            [(float(x + r * np.cos(a)), float(y + r * np.sin(a))) for a, r in zip(angles, reach, strict=True)], fill
        )
    else:
        draw.regular_polygon((float(x), float(y), float(radius)), 4 if shape == "square" else 3, turn, fill)
    return canvas.resize((SIDE, SIDE), Image.Resampling.BOX)


def write(folder: Path, count: int, red: float = 0.25, seed: int = 0, table: bool = False) -> Path:
    """Writes `count` pictures to `folder`, a share `red` of them red and the other colours equally often. File names
    give colour and shape; with `table`, metadata.csv does, in a column each."""
    stream = np.random.default_rng(seed)
    chances = [red, *[(1 - red) / (len(COLOURS) - 1)] * (len(COLOURS) - 1)]
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file_name,colour,shape"]
    for number in range(count):
        colour, shape = stream.choice(list(COLOURS), p=chances), stream.choice(SHAPES)
        name = f"{number:04}.png" if table else f"{colour} {shape}-{number:04}.png"
        picture(str(colour), str(shape), stream).save(folder / name)
        lines.append(f"{name},{colour},{shape}")
    if table:
        (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--red", type=float, default=0.25, help="the share of red ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="colour and shape in metadata.csv instead of in names")
    asked = parser.parse_args()
    write(asked.folder, asked.count, asked.red, asked.seed, asked.table)
    print(f"Drew {asked.count} pictures into {asked.folder}.")
