"""Pictures: read from common and from malicious files, and written with their record inside.

Shapes: H W a picture's height and width, S the one size. A picture is uint8 (H, W, 4), RGB and straight alpha.
"""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps
from torch import Tensor

from ..contracts import Modality
from ..space import Refusal
from ..storage import whole
from ..storage.pictures import PIXELS, opened, png
from ..storage.records import ASCII, EXIF, USER_COMMENT
from .descriptors import picture_features, picture_views
from .picture_sizes import sized
from .pixels import fit, palette, snapped, tiles

ORIENTATION = 0x0112
CANARY = 4  # blocks a side
THUMBNAIL, THUMBNAIL_STEP = 17, 8  # pixels a side; the smallest difference, of 255: re-encoding causes less


def _decoded(picture: Pillow.Image) -> np.ndarray:
    """(H, W, 4) of the first frame, upright."""
    if picture.mode.startswith("I;16") or picture.mode == "I":
        picture = Pillow.fromarray((np.asarray(picture).astype(np.int64) // 257).clip(0, 255).astype(np.uint8))
    elif picture.getexif().get(ORIENTATION, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    return np.array(picture.convert("RGBA"))


class Image(Modality):
    """Pictures, `size` pixels a side. `palette`: reduce the data set to so many colours. `tile`: cut sheets into
    squares of so many pixels. `colours`: the palette found in the data, to which generated pictures are snapped."""

    name = "image"
    extensions = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".avif", ".apng")
    suffixes = (".png", ".webp")

    def __init__(
        self,
        size: int = 32,
        palette: int | None = None,
        tile: int | None = None,
        colours: Sequence[Sequence[int]] | None = None,
    ):
        for value, word, low, high in ((size, "size", 4, 1024), (palette, "palette", 2, 256), (tile, "tile", 4, 4096)):
            if value is not None and (type(value) is not int or not low <= value <= high):
                raise Refusal(f"{word}={value}: expected a whole number from {low} to {high}")
        self.size, self.palette, self.tile = size, palette, tile
        self.colours = [tuple(colour) for colour in colours] if colours else None

    @classmethod
    def tiny(cls) -> "Image":
        return cls(size=8)

    def read(self, path: Path) -> np.ndarray:
        """Reads uint8 (H, W, 4) at the file's own size. Raises Refusal if it cannot be decoded."""
        path = Path(path)
        if not path.is_file():
            raise Refusal(f"{path}: no such picture file; check the path")
        try:
            return opened(path, _decoded)
        except Refusal as error:
            raise Refusal(f"{path}: {error}") from error

    def take(self, value: Any) -> np.ndarray:
        """uint8 (H, W, 4) of a PIL picture, or of a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."""
        if isinstance(value, Pillow.Image):
            if value.width * value.height > PIXELS:
                raise Refusal(f"a picture of {value.width} x {value.height}: expected at most {PIXELS:,} pixels")
            return _decoded(value)
        array = np.asarray(value)
        array = array[..., None] if array.ndim == 2 else array
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
            found = f"{array.dtype} {array.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise Refusal(f"{found}: expected a PIL picture, or a uint8 array (H, W), (H, W, 3) or (H, W, 4)")
        if array.shape[2] == 1:
            array = array.repeat(3, 2)
        return array if array.shape[2] == 4 else np.dstack([array, np.full(array.shape[:2], 255, np.uint8)])

    def canary(self, seed: int) -> np.ndarray:
        """A picture of blocks of random colours."""
        blocks = np.random.default_rng(seed).integers(0, 256, (CANARY, CANARY, 4), dtype=np.uint8)
        blocks[..., 3] = 255
        side = max(CANARY, self.size // CANARY * CANARY)
        return blocks.repeat(side // CANARY, 0).repeat(side // CANARY, 1)

    def extent(self, datum: np.ndarray) -> dict[str, float]:
        return {"pixels across": datum.shape[1], "pixels down": datum.shape[0]}

    def preprocess(self, picture: np.ndarray) -> np.ndarray:
        """Scales to uint8 (S, S, 4), and snaps to the learned colours, if any."""
        return self.postprocess(fit(picture, self.size)[0])

    def pieces(self, datum: np.ndarray) -> list[tuple[np.ndarray, tuple[str, ...]]]:
        return [fit(part, self.size) for part in (tiles(datum, self.tile) if self.tile else [datum])]

    def learned(self, data: Sequence[np.ndarray]) -> tuple["Image", list[str]]:
        if not self.palette or self.colours:
            return self, []
        found = palette(data, self.palette)
        said = f"The data set is reduced to a palette of {len(found)} colours."
        return Image(self.size, self.palette, self.tile, found), [said]

    def postprocess(self, datum: Any) -> np.ndarray:
        """Snaps the picture to the learned colours, if any."""
        return snapped(np.asarray(datum), self.colours) if self.colours else np.asarray(datum)

    def write(self, datum: Any, path: Path, record: dict[str, Any]) -> None:
        """Writes a PNG with the record as the text chunk `septet`, or a lossless WebP with it as the EXIF user comment;
        scaled to the record's `size` if it has one."""
        path, stream = Path(path), io.BytesIO()
        picture = sized(Pillow.fromarray(self.take(datum)), record)
        if path.suffix.lower() == ".png":
            stream.write(png(picture, record))
        elif path.suffix.lower() == ".webp":
            exif = Pillow.Exif()
            exif.get_ifd(EXIF)[USER_COMMENT] = ASCII + json.dumps(record).encode("ascii")
            picture.save(stream, "WEBP", lossless=True, exact=True, exif=exif)
        else:
            raise Refusal(f"{path.name}: pictures are written as .png or .webp, which hold their record; rename it")
        whole.write(path, stream.getvalue())

    def preview(self, datum: Any, size: int = 128) -> Pillow.Image:
        """At most size x size; small pictures are enlarged by a whole factor, so that their pixels stay sharp."""
        picture = Pillow.fromarray(self.take(datum))
        factor = size // max(picture.size)
        if factor >= 1:
            return picture.resize((picture.width * factor, picture.height * factor), Pillow.Resampling.NEAREST)
        picture.thumbnail((size, size), Pillow.Resampling.HAMMING)
        return picture

    def region(self, text: str, datum: np.ndarray) -> np.ndarray:
        """bool (H, W), false in the part to regenerate: a box x,y,w,h in pixels, or where a mask file is white."""
        height, width = datum.shape[:2]
        numbers = [int(n) for n in text.split(",") if n.strip().isdecimal()]
        if len(numbers) == 4 and text.count(",") == 3:
            x, y, across, down = numbers
            if not (across and down and x + across <= width and y + down <= height):
                raise Refusal(f"--where {text}: expected a box x,y,w,h within {width} x {height} pixels")
            kept = np.ones((height, width), bool)
            kept[y : y + down, x : x + across] = False
            return kept
        if not Path(text).is_file():
            raise Refusal(f"--where {text}: no such file; give a mask, white where to regenerate, or a box x,y,w,h")
        mask = Pillow.fromarray(self.read(Path(text))).convert("L")
        return np.asarray(mask.resize((width, height), Pillow.Resampling.NEAREST)) < 128

    def compose(self, generated: Any, given: Any, where: Any = None) -> np.ndarray:
        """`given`, unchanged, where the bool (H, W) `where` is true, else `generated`; without `where`, `generated`."""
        if where is None:
            return generated
        generated_HW4, given_HW4, where_HW = (
            self.take(np.asarray(generated)),
            self.take(np.asarray(given)),
            np.asarray(where),
        )
        if (
            generated_HW4.shape != given_HW4.shape
            or where_HW.shape != generated_HW4.shape[:2]
            or where_HW.dtype != bool
        ):
            raise Refusal(
                f"a generated picture {generated_HW4.shape}, a given one {given_HW4.shape} and a {where_HW.dtype} mask "
                f"{where_HW.shape}: all three must have the same height and width, and the mask must be boolean"
            )
        return np.where(where_HW[..., None], given_HW4, generated_HW4)

    def features(self, data: Sequence[Any]) -> Tensor:
        """float32 (n, 496): see descriptors.picture_features."""
        return picture_features([self.take(datum) for datum in data])

    def views(self, data: Sequence[Any]) -> list[Iterator[Tensor]]:
        return picture_views([self.take(datum) for datum in data])

    def shingles(self, datum: np.ndarray) -> np.ndarray:
        """A difference hash: where pixels of a thumbnail are clearly brighter, darker, more or less opaque than the
        next; and the quantised colours of its quarters."""
        whole = Pillow.fromarray(datum).convert("RGBa")
        planes = np.asarray(whole.resize((THUMBNAIL, THUMBNAIL), Pillow.Resampling.BOX), np.int32)
        shades = np.stack([planes[..., :3].sum(-1) // 3, planes[..., 3]], -1)
        across, down = np.diff(shades[:-1], axis=1), np.diff(shades[:, :-1], axis=0)
        steps = [step > THUMBNAIL_STEP for edge in (across, down) for step in (edge, -edge)]
        quarters = np.asarray(whole.resize((2, 2), Pillow.Resampling.BOX), np.int32)[..., :3]
        levels = quarters[..., None] > np.arange(32, 256, 64)
        return np.flatnonzero(np.concatenate([*(s.ravel() for s in steps), levels.ravel()])).astype(np.uint32)
