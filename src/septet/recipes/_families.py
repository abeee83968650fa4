"""The network sizes of each recipe. `l` is used with `--steps`, where there is no time budget.

The number in each line is the steps from which a size beats the smaller ones, approximately. For pictures it was
measured (see "sizes" in the log); for the others it follows from 20 tokens per parameter (Hoffmann et al. 2022), a
third of which is enough to beat a smaller network.
"""

from typing import Any

from ..fitting.sizes import Family, Size
from ..space import Refusal

MOST_OFF = 2  # times as many patches as wished for, or as few


def _family(sizes: dict[str, tuple[int, int, int]], fixed: str = "l", **shared: Any) -> Family:
    """A Family from (steps, width, layers) by name."""
    named = (Size(name, s, {"width": w, "layers": n} | shared) for name, (s, w, n) in sizes.items())
    return Family(list(named), fixed)


def pictures(size: int, patch: int = 0, largest: str | None = None) -> Family:
    """Sizes for diffusion over patches of pictures with `size` pixels a side. A `patch` above 0 is used for all."""
    few, many = (patch, patch) if patch else (_patch(size, 5), _patch(size, 10) if size % 4 else 4)
    shared = {"batch": 32, "rate": 0.02, "average": 0.999}
    return Family(
        [
            Size("xs", 0, {"patch": few, "width": 64, "layers": 4} | shared),
            Size("s", 500, {"patch": few, "width": 128, "layers": 6} | shared),
            Size("m", 3000, {"patch": few, "width": 256, "layers": 6} | shared),
            Size("l", 6000, {"patch": many, "width": 256, "layers": 8} | shared | {"batch": 64}),
            Size("xl", 12000, {"patch": many, "width": 384, "layers": 12} | shared | {"batch": 64}),
        ],
        fixed="l",
        largest=largest,
    )


def _patch(size: int, sites: int) -> int:
    """The divisor of `size` with which the number of patches per side is closest to `sites`, by ratio."""

    def off(patch: int) -> float:
        return max(size / patch / sites, sites * patch / size)

    patch = min((patch for patch in range(1, size + 1) if size % patch == 0), key=off)
    if size >= sites and off(patch) > MOST_OFF:
        raise Refusal(f"size={size}: it has no divisor near {size / sites:.0f} for patches; choose another size")
    return patch


TEXTS = Family(
    [
        Size("xs", 0, {"length": 128, "width": 96, "layers": 4, "batch": 16, "rate": 0.03}),
        Size("s", 600, {"length": 128, "width": 128, "layers": 6, "batch": 16, "rate": 0.03}),
        Size("m", 2000, {"length": 256, "width": 192, "layers": 6, "batch": 16, "rate": 0.02}),
        Size("l", 4000, {"length": 256, "width": 256, "layers": 6, "batch": 32, "rate": 0.02}),
        Size("xl", 8000, {"length": 256, "width": 384, "layers": 8, "batch": 32, "rate": 0.02}),
    ],
    fixed="l",
)
LISTS = Family(
    [
        Size("s", 0, {"length": 128, "width": 64, "layers": 6, "batch": 64, "rate": 0.03}),
        Size("l", 4000, {"length": 256, "width": 128, "layers": 6, "batch": 64, "rate": 0.02}),
    ],
    fixed="l",
)
DEPTHS = {"xs": (0, 96, 4), "s": (600, 128, 6), "m": (2000, 192, 6), "l": (4000, 256, 6), "xl": (8000, 384, 8)}
CODE = MASKED = GRIDS = _family(DEPTHS, rate=0.02)
DRAWINGS = _family({n: DEPTHS[n] for n in ("xs", "s", "m")} | {"l": (4000, 256, 8)}, batch=32, rate=0.02, average=0.998)
