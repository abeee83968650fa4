"""Pictures of coloured shapes in families, and sentences of a small grammar, from a seed."""

import numpy as np
from PIL import Image, ImageDraw

SIDE = 24


def pictures(count: int, seed: int, families: int = 60) -> list[np.ndarray]:
    """uint8 (24, 24, 4) pictures of three shapes on a plain ground. The families are the same for every seed; members
    of one differ in place, size and shade."""
    stream = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        family = np.random.default_rng(int(stream.integers(families)))
        picture = Image.new("RGBA", (96, 96), tuple(int(v) for v in family.integers(150, 256, 3)) + (255,))
        draw = ImageDraw.Draw(picture)
        for _ in range(3):
            kind, sides = family.integers(2), int(family.integers(3, 7))
            x, y = family.uniform(25, 70, 2) + stream.normal(0, 5, 2)
            radius = family.uniform(10, 26) * stream.uniform(0.8, 1.25)
            shade = (family.integers(0, 200, 3) + stream.normal(0, 14, 3)).clip(0, 255)
            colour, turn = tuple(int(v) for v in shade) + (255,), float(stream.uniform(0, 60))
            if kind:
                draw.ellipse((x - radius, y - radius * 0.7, x + radius, y + radius * 0.7), fill=colour)
            else:
                draw.regular_polygon((float(x), float(y), float(radius)), sides, rotation=int(turn), fill=colour)
        found.append(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX)))
    return found


NOUNS = ("fox", "river", "miller", "lantern", "crow", "harbour", "widow", "bell", "orchard", "clerk", "ship", "wall")
VERBS = ("follows", "remembers", "mends", "forgets", "guards", "sells", "paints", "hears", "buries", "fears")
KINDS = ("old", "silent", "crooked", "red", "lost", "gentle", "iron", "small", "distant", "careful")


def text(sentences: int, seed: int) -> str:
    """Sentences that say nothing twice but by chance."""
    stream = np.random.default_rng(seed)
    said = []
    for _ in range(sentences):
        a, b, v, k, m = (stream.choice(words) for words in (NOUNS, NOUNS, VERBS, KINDS, KINDS))
        said.append(f"The {k} {a} {v} the {m} {b}" + (", and so it goes. " if stream.random() < 0.2 else ". "))
    return "".join(said)
