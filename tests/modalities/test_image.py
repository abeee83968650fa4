"""Pictures: formats, hostile bytes, one size, palettes, records, features."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from septet.modalities.image import Image
from septet.space import Refusal
from septet.storage.pictures import FORMATS
from septet.storage.records import read_record

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist.npz"


def sprite(side: int = 16, seed: int = 0) -> np.ndarray:
    """Pixel art: 5 opaque colours in random blocks on a transparent ground."""
    random = np.random.default_rng(seed)
    colours = np.concatenate([random.integers(0, 256, (5, 3)), np.full((5, 1), 255)], 1).astype(np.uint8)
    picture = colours[random.integers(0, 5, (side, side))]
    picture[:2] = picture[-2:] = picture[:, :2] = picture[:, -2:] = 0
    return picture


def photo(height: int = 90, width: int = 90, seed: int = 0) -> np.ndarray:
    """Smooth colours, opaque."""
    few = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return np.array(Pillow.fromarray(few).resize((width, height), Pillow.Resampling.BICUBIC).convert("RGBA"))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_black(width: int, height: int, lines: int | None = None) -> bytes:
    """A one-bit PNG of a few kB, however large the picture."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    line = bytes(1 + (width + 7) // 8)
    packed = b"".join(packer.compress(line) for _ in range(lines or height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", FORMATS)
def test_every_allowed_format_is_read(tmp_path: Path, format: str):
    path = tmp_path / "picture.bin"
    Pillow.fromarray(photo()).convert("RGB").save(path, format)
    picture = Image().read(path)
    assert picture.shape == (90, 90, 4) and picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - photo()).mean() < 12


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_keeps_its_brightness(tmp_path: Path, mode: str):
    grey = Pillow.new("L", (8, 8), 0)
    grey.paste(255, (0, 0, 4, 8))
    picture = Pillow.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    picture.save(tmp_path / "a.png")
    read = Image().read(tmp_path / "a.png")
    assert (read[:, :4] == 255).all() and (read[:, 4:, :3] == 0).all() and (read[..., 3] == 255).all()


def test_sixteen_bits_become_eight(tmp_path: Path):
    Pillow.fromarray(np.full((4, 4), 100 * 257, np.uint16)).save(tmp_path / "deep.png")
    assert Image().read(tmp_path / "deep.png")[0, 0].tolist() == [100, 100, 100, 255]


def test_cmyk_exif_rotation_and_first_frame(tmp_path: Path):
    Pillow.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "cmyk.jpg")
    assert (Image().read(tmp_path / "cmyk.jpg") > 250).all()
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)
    assert Image().read(tmp_path / "turned.jpg").shape == (20, 10, 4)
    frames = [Pillow.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert tuple(Image().read(tmp_path / "moving.gif")[0, 0]) == (255, 0, 0, 255)


def hostile(folder: Path) -> dict[str, Path]:
    good = io.BytesIO()
    Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(good, "PNG")
    contents = {
        "bomb": png_of_black(13_000, 13_000),
        "large": png_of_black(8_000, 7_000),
        "giant": png_of_black(30_000, 30_000, lines=10),
        "cut short": good.getvalue()[: len(good.getvalue()) // 2],
        "flipped": good.getvalue()[:2000] + b"\xff\xff\xff\xff" + good.getvalue()[2004:],
        "empty": b"",
        "random": np.random.default_rng(1).bytes(3000),
        "text": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }
    for name, content in contents.items():
        (folder / f"{name}.png").write_bytes(content)
    Pillow.new("RGB", (8, 8)).save(folder / "tiff.png", "TIFF")
    return {name: folder / f"{name}.png" for name in [*contents, "tiff", "missing"]}


@pytest.mark.hostile
def test_hostile_pictures_are_refused_by_name(tmp_path: Path):
    for name, path in hostile(tmp_path).items():
        with pytest.raises(Refusal, match=name) as caught:
            Image().read(path)
        assert str(caught.value).count("\n") == 0
    assert (tmp_path / "bomb.png").stat().st_size < 30_000
    for name in ("bomb", "large", "giant"):
        with pytest.raises(Refusal, match="too many pixels"):
            Image().read(tmp_path / f"{name}.png")


@pytest.mark.hostile
def test_random_bytes_after_a_good_start_never_get_past_a_refusal(tmp_path: Path):
    stream = io.BytesIO()
    Pillow.fromarray(photo()).save(stream, "WEBP", lossless=True)
    good, random = stream.getvalue(), np.random.default_rng(0)
    for trial in range(60):
        bad = bytearray(good)
        for place in random.integers(0, len(good), 8):
            bad[place] = random.integers(256)
        (tmp_path / "a.webp").write_bytes(bad)
        try:
            assert Image().read(tmp_path / "a.webp").shape[2] == 4
        except Refusal:
            continue


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_the_record_lies_in_the_file(tmp_path: Path, suffix: str):
    record = {"prompt": 'a "red" äpple <&> 日本', "seed": 7, "settings": {"steps": 5}}
    picture = sprite()
    picture[0, 0] = (9, 8, 7, 0)
    path = tmp_path / f"made{suffix}"
    Image().write(picture, path, record)
    assert read_record(path) == record
    assert (Image().read(path) == picture).all()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_no_record_and_other_suffixes(tmp_path: Path):
    Pillow.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    assert read_record(tmp_path / "plain.png") is None and read_record(tmp_path / "broken.png") is None
    with pytest.raises(Refusal, match=r"written as \.png or \.webp"):
        Image().write(sprite(), tmp_path / "a.jpg", {})


def test_compose_gives_the_given_pixels_back_exactly():
    where = np.random.default_rng(0).random((16, 16)) < 0.5
    whole = Image().compose(torch.from_numpy(sprite(seed=1)), sprite(seed=2), where)
    assert (whole[where] == sprite(seed=2)[where]).all() and (whole[~where] == sprite(seed=1)[~where]).all()
    with pytest.raises(Refusal, match="same height and width"):
        Image().compose(sprite(), sprite(8), where)


def test_preview_stays_within_its_size():
    assert Image().preview(sprite(16), 100).size == (96, 96)
    assert max(Image().preview(photo(90, 180), 64).size) == 64


def test_what_is_no_picture_is_refused():
    wrong: list[dict[str, Any]] = [{"size": 0}, {"size": 10**6}, {"size": True}, {"palette": 1}, {"tile": 2}]
    for value in ("text", np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4)), np.zeros((0, 4, 4), np.uint8)):
        with pytest.raises(Refusal, match="expected a PIL picture"):
            Image().take(value)
    for arguments in wrong:
        with pytest.raises(Refusal, match="expected a whole number"):
            Image(**arguments)


def test_features_follow_likeness():
    base = Image(size=32).preprocess(photo(seed=1))
    near = np.clip(base.astype(int) + np.random.default_rng(0).integers(-6, 7, base.shape), 0, 255).astype(np.uint8)
    features = Image().features([base, near, photo(seed=2), np.roll(base, 1, 1), photo(90, 90, 1)])
    assert features.shape == (5, 496) and features.dtype == torch.float32 and bool(torch.isfinite(features).all())
    far = (features[0] - features[2]).norm()
    assert (features[0] - features[1]).norm() < far / 4 and (features[0] - features[3]).norm() < far / 2
    assert (features[0] - features[4]).norm() < far / 4
    assert Image().features([]).shape == (0, 496)
    assert torch.isfinite(Image().features([np.zeros((1, 1, 4), np.uint8)])).all()


@pytest.mark.skipif(not MNIST.exists(), reason="no MNIST here")
def test_the_nearest_digit_is_mostly_the_same_digit():
    digits = np.load(MNIST)
    random = np.random.default_rng(0)
    known, asked = random.permutation(60_000)[:2000], random.permutation(10_000)[:500]
    features = Image(28).features(list(digits["train_images"][known]))
    nearest = torch.cdist(Image(28).features(list(digits["test_images"][asked])), features).argmin(1)
    right = digits["train_labels"][known][nearest] == digits["test_labels"][asked]
    print(f"nearest neighbour accuracy {right.mean():.3f}")
    assert right.mean() >= 0.93
