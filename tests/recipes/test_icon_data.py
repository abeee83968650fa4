"""The captioned icons that the `icons` starter learns from: names as captions, splits without leaks, plain files."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from septet.space import Refusal

sys.path.insert(0, str(Path(__file__).parents[2] / "pretraining"))
import icons  # pyright: ignore[reportMissingImports]
import packages  # pyright: ignore[reportMissingImports]

NAMES = {
    ("tabler", "bell-off"): ("bell off", "outline", 0),
    ("tabler", "bell-filled"): ("bell", "filled", 0),
    ("mdi", "cart-outline"): ("cart", "outline", 0),
    ("mdi", "outline"): ("outline", "filled", 0),
    ("material-symbols", "home-outline-rounded"): ("home", "outline rounded", 0),
    ("material-symbols", "turn-sharp-left"): ("turn sharp left", "filled", 0),
    ("fluent", "add-circle-24-regular"): ("add circle", "outline", 24),
    ("fluent", "add-circle-20-filled"): ("add circle", "filled", 20),
    ("ph", "acorn-duotone"): ("acorn", "duotone", 0),
    ("ph", "acorn-thin"): ("acorn", "thin", 0),
    ("bi", "person-fill-dash"): ("person dash", "filled", 0),
    ("bi", "calendar3"): ("calendar 3", "outline", 0),
    ("heroicons", "bell-20-solid"): ("bell", "filled", 20),
    ("octicon", "alert-fill-24"): ("alert", "filled", 24),
    ("iconoir", "droplet-solid"): ("droplet", "filled", 0),
    ("pixelarticons", "card-sharp"): ("card", "pixel sharp", 0),
    ("lucide", "volume-2"): ("volume 2", "outline", 0),
}


@pytest.mark.parametrize(("collection", "name"), NAMES)
def test_a_name_tells_caption_style_and_size(collection, name):
    assert icons.describe(collection, name) == NAMES[collection, name]


def test_a_concept_is_the_same_in_any_order_number_and_count():
    assert icons.concept("arrows circle 2") == icons.concept("circle arrow") != icons.concept("circle")
    assert icons.concept("3") == "3" and icons.concept("bus glass") == "bus glass"


def icon(caption: str, style: str = "outline", others: tuple[str, ...] = (), body: str = "") -> icons.Icon:
    return icons.Icon("tabler", caption, style, others, f'{icons.OPENING} viewBox="0 0 24 24">{body}</svg>')


def test_styles_and_other_names_share_a_split():
    many = [icon(f"thing{chr(97 + n % 26)}{chr(97 + n // 26)}") for n in range(600)]
    splits = icons.assign(many)
    assert 10 < (splits == 1).sum() < 50 and 10 < (splits == 2).sum() < 50
    held = [many[n].caption for n in np.flatnonzero(splits)]
    related = [icon(f"{held[0]}s", "filled"), icon("nothing", others=(held[0],)), icon("nothing 2", "filled")]
    assert len(set(icons.assign([*many, *related])[600:])) == 1
    assert len(set(icons.assign([icon(held[0]), related[0]]))) == 1


def test_a_turned_and_mirrored_twin_is_found():
    bodies = {
        "flag": '<path d="M5 3v18h2v-7h11l-3-4 3-4H7V3z"/>',
        "turned": '<path transform="rotate(90 12 12) scale(1 -1) translate(0 -24)" d="M5 3v18h2v-7h11l-3-4 3-4H7V3z"/>',
        "ring": '<circle cx="12" cy="12" r="8" fill="none" stroke="#000" stroke-width="2" stroke-linecap="round"/>',
    }
    drawn = [icons.draw(icon(name, body=body)) for name, body in bodies.items()]
    assert [reason for _, _, reason in drawn] == ["", "", ""]
    shades = torch.from_numpy(np.stack([small for _, small, _ in drawn]))
    assert icons.twins(shades, np.array([1, 0, 0], dtype=np.uint8)).tolist() == [False, True, False]


def test_an_icon_that_cannot_be_drawn_says_why():
    assert icons.draw(icon("none"))[2] == "unreadable"
    assert icons.draw(icon("tiny", body='<path d="M1 1h.01v.01z"/>'))[2] == "empty"
    comb = "".join(f"M{n % 12 * 2} {n // 12 * 2}h1l.7 1z" for n in range(140))
    assert icons.draw(icon("long", body=f'<path d="{comb}"/>'))[2] == "too long"
    butt = '<path fill="none" stroke="#000" stroke-width="9" d="M9 12h6"/>'  # ends that are not round
    assert icons.draw(icon("butt", body=butt))[2] == "not as drawn"


def test_what_is_saved_is_loaded(tmp_path):
    rows = [
        (np.array([5, 9, 0], dtype=np.int16), "café, outline, tabler", 0, 0),
        (np.array([0], dtype=np.int16), "b", 2, 1),
    ]
    icons.save(tmp_path / "cache" / "icons.npz", rows)
    symbols, prompts, splits = icons.load(tmp_path / "cache" / "icons.npz")
    assert [s.tolist() for s in symbols] == [[5, 9, 0], [0]] and symbols[0].dtype == torch.int64
    assert prompts == ["café, outline, tabler", "b"] and splits.tolist() == [0, 2]
    assert "4 symbols in all" in icons.report(tmp_path / "cache" / "icons.npz")


def test_an_archive_with_the_right_hash_is_not_fetched_again(tmp_path):
    (tmp_path / "thing-1.2.tgz").write_bytes(b"content")
    (tmp_path / "other-1.2.tgz").write_bytes(b"other")
    digest = hashlib.sha256(b"content").hexdigest()
    assert packages.fetch("npm:thing", "1.2", digest, tmp_path).name == "thing-1.2.tgz"
    with pytest.raises(Refusal, match="cargo:thing"):
        packages.fetch("cargo:thing", "1.2", digest, tmp_path)


def test_a_missing_client_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refusal, match="npm is needed"):
        packages.fetch("npm:thing", "1.2", "0", tmp_path)
