"""Pictures brought to one size: pixel art, alpha, other shapes, sheets, palettes."""

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from septet.modalities.image import Image


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


def test_pixel_art_is_scaled_by_nearest_neighbour():
    art = sprite()
    large = Image(size=32).preprocess(art)
    assert (large == art.repeat(2, 0).repeat(2, 1)).all()
    enlarged = art.repeat(10, 0).repeat(10, 1)
    assert (Image(size=16).preprocess(enlarged) == art).all()
    [(_, remarks)] = Image(size=16).pieces(enlarged)
    assert any("pixel art" in remark for remark in remarks) and any("enlarged" in remark for remark in remarks)
    odd = Image(size=24).preprocess(art)  # no whole multiple: its own pixels inside a clear rim
    assert (odd[4:20, 4:20] == art).all() and not odd[:4].any()


def test_smooth_and_anti_aliased_pictures_are_no_pixel_art():
    circle = Pillow.new("L", (128, 128))
    ImageDraw.Draw(circle).ellipse((20, 20, 108, 108), fill=255)
    soft = np.array(circle.resize((32, 32), Pillow.Resampling.BOX).convert("RGBA"))
    for picture in (photo(), soft):
        assert Image(size=16).pieces(picture)[0][1] == ()


def test_alpha_survives_and_does_not_bleed():
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[16:48, 16:48] = np.concatenate([photo(32, 32)[..., :3], np.full((32, 32, 1), 200, np.uint8)], 2)
    picture[picture[..., 3] == 0] = (255, 255, 255, 0)  # a hidden white ground must not lighten the edge
    small = Image(size=16).preprocess(picture)
    assert small[8, 8, 3] == 200 and small[0, 0].tolist() == [0, 0, 0, 0]
    inside = np.abs(small[4:12, 4:12, :3].astype(int) - photo(8, 8)[..., :3])
    assert inside.mean() < 20


def test_other_shapes_are_padded_with_alpha_and_cropped_without():
    [(cropped, said)] = Image(size=30).pieces(photo(90, 180))
    assert any("cropped" in remark for remark in said) and (cropped[..., 3] == 255).all()
    clear = photo(90, 180)
    clear[:5] = 0
    [(padded, said)] = Image(size=30).pieces(clear)
    assert any("padded" in remark for remark in said) and not padded[:7].any() and not padded[-7:].any()


def test_a_sheet_is_cut_into_its_tiles():
    sheet = np.zeros((36, 48, 4), np.uint8)
    sheet[:16, :16], sheet[16:32, 32:48] = sprite(seed=1), sprite(seed=2)
    pieces = Image(size=16, tile=16).pieces(sheet)
    assert [bool((piece == sprite(seed=seed)).all()) for seed, (piece, _) in zip((1, 2), pieces, strict=True)] == [
        True,
        True,
    ]


def test_a_palette_is_the_sets_own_and_snaps_what_is_drawn():
    pictures = [sprite(seed=3), sprite(seed=3)[::-1]]
    learned, sentences = Image(size=16, palette=8).learned(pictures)
    assert learned.colours is not None and len(learned.colours) == 6 and "6 colours" in sentences[0]
    noisy = np.clip(sprite(seed=3).astype(int) + np.random.default_rng(0).integers(-3, 4, (16, 16, 4)), 0, 255).astype(
        np.uint8
    )
    noisy[sprite(seed=3)[..., 3] == 0, 3] = 0
    assert (learned.postprocess(noisy) == sprite(seed=3)).all()
    few, _ = Image(size=16, palette=4).learned([photo(16, 16, seed) for seed in range(4)])
    assert few.colours is not None and len(few.colours) <= 4
    drawn = few.postprocess(photo(16, 16, 9))
    assert {tuple(map(int, pixel)) for pixel in drawn.reshape(-1, 4)} <= set(few.colours)
    error = np.abs(few.preprocess(photo(16, 16, 1))[..., :3].astype(int) - photo(16, 16, 1)[..., :3]).mean()
    assert error < 45  # a single mean colour leaves about 60
