"""SVG files: read to drawings or refused in one sentence, written crisp with their record, compared by their looks."""

import io
import json
import xml.etree.ElementTree as ElementTree
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import resvg_py
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from septet.modalities.svg import MOST_BYTES
from septet.modalities.vector import Drawing, Figure, Vector, arrange, render, shades
from septet.space import Refusal

OPENING = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 24 24">'
HOUSE = '<path d="M3 11 12 3l9 8v10h-6v-6H9v6H3z"/>'
USES = (
    "".join(f'<g id="u{n}">{f"""<use href="#u{n + 1}"/>""" * 10}</g>' for n in range(9))
    + '<path id="u9" d="M0 0h9v9z"/>'
)
ENTITIES = '<!DOCTYPE svg [<!ENTITY a "lol">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1 or str()};" * 10}">' for n in range(1, 9)
)


def svg(body: str) -> str:
    return f"{OPENING}{body}</svg>"


BAD = {
    "script": (svg("<script>alert(1)</script>" + HOUSE), "script"),
    "handler": (svg('<path onload="alert(1)" d="M0 0h9v9z"/>'), "onload"),
    "outside file": (svg('<image href="file:///etc/passwd"/>' + HOUSE), "outside files"),
    "outside use": (svg('<use xlink:href="http://example.org/a.svg#b"/>' + HOUSE), "outside files"),
    "foreign": (svg("<foreignObject><p>hi</p></foreignObject>"), "foreignObject"),
    "entity bomb": (f"{ENTITIES}]><svg>&a8;</svg>", "entity"),
    "outside entity": ('<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + svg("&x;"), "entity"),
    "use bomb": (svg(USES), "elements that use themselves"),
    "circular use": (svg('<g id="a"><use href="#a"/></g>' + HOUSE), "elements that use themselves"),
    "empty": ("", "not an SVG"),
    "not xml": ("hello", "not an SVG"),
    "cut off": (svg(HOUSE)[:-9], "not an SVG"),
    "html": ("<html><body/></html>", "expected <svg"),
    "no path": (svg("<text>hello</text>"), "no visible path"),
    "unpainted": (svg('<path fill="none" d="M0 0h9v9z"/>'), "no visible path"),
    "no box": (f"<svg>{HOUSE}</svg>", "viewBox"),
    "far outside": (svg('<path d="M0 0h1e30v9z"/>'), "far outside"),
    "wide pen": (svg('<path stroke="#000" stroke-width="2e9px" d="M0 0h9v9z"/>'), "far outside"),
    "no number": (svg('<path d="M0 0hnan"/>'), "shapes cannot be parsed|no visible path"),
    "endless path": (svg(f'<path d="M0 0{"h1v1" * 4000}"/>'), "segments"),
    "huge": (svg(HOUSE) + " " * MOST_BYTES, "bytes"),
}


@pytest.mark.hostile
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_sentence(name, tmp_path):
    path = tmp_path / "bad.svg"
    path.write_text(BAD[name][0])
    with pytest.raises(Refusal, match=BAD[name][1]) as refusal:
        Vector().read(path)
    assert str(refusal.value).startswith(str(path)) and "\n" not in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(Refusal, match="No such file"):
        Vector().read(tmp_path / "none.svg")


@pytest.mark.hostile
@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from(list('0.-"<>/&;#aAmMzZ %\0é'))), min_size=1, max_size=6))
def test_a_damaged_file_is_read_or_refused(changes):
    text = list(
        svg('<g transform="rotate(9 3 3)" stroke="red" stroke-width="2%"><circle cx="5" cy="5" r="3"/></g>' + HOUSE)
    )
    for place, character in changes:
        text[min(place, len(text) - 1)] = character
    for vector in (Vector(), Vector(palette=8)):
        with suppress(Refusal):
            assert vector.take("".join(text)).figures


def test_every_kind_of_shape_looks_as_the_renderer_says(tmp_path):
    body = (
        '<defs><path id="p" d="M0 0q2-3 4 0t4 0"/></defs><symbol id="s"><path d="M0 0h2v2"/></symbol>'
        '<clipPath id="c"><path d="M0 0h24v24H0z"/></clipPath><use href="#s" x="20" y="1"/>'
        '<g fill="none" stroke="#000" stroke-width="1" stroke-linecap="round" stroke-linejoin="round">'
        '<use href="#p" x="2" y="20"/><ellipse cx="6" cy="5" rx="4" ry="2"/><polyline points="1 9 4 12 7 9"/>'
        '<g transform="translate(14 3) rotate(20)"><rect width="7" height="5" rx="1.5"/></g>'
        '<line x1="9" y1="9" x2="9" y2="14"/><path d="M12 12a3 4 30 1 0 6 2s2-3 4 0"/>'
        '<circle cx="12" cy="20" r="1.5" style="stroke:#000"/></g><path d="M3 14h4v3H3z" opacity=".2"/>'
        '<polygon points="15 19 18 23 21 19"/><path d="M1 1h9v9" visibility="hidden"/>'
        '<path d="M1 1h9v9" display="none"/>'
    )
    path = tmp_path / "a.svg"
    path.write_text(svg(body))
    data = resvg_py.svg_to_bytes(svg_string=svg(body), width=96, height=96, skip_system_fonts=True)
    wanted = np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGBA").getchannel("A"), dtype=np.float32) / 255
    assert np.abs(shades(Vector().read(path), 96) - wanted).mean() < 1e-3
    assert {figure.faint for figure in Vector().read(path).figures} == {True, False}


def test_another_box_is_scaled_into_ours():
    sides = 'width="48mm" height="24mm" viewBox="10 10 48 24"'
    (figure,) = Vector().take(f"<svg {sides}><path d='M10 10h48v24H10z'/></svg>").figures
    points = [segment[1] for segment in figure.segments if segment[0] != "Z"]
    assert min(p.imag for p in points) == 6 and max(p.imag for p in points) == 18 and max(p.real for p in points) == 24


def test_what_is_written_is_read_again_and_holds_its_record(tmp_path):
    drawing = Vector().take(svg(HOUSE + '<path d="M1 1h4" fill="none" stroke="#000" stroke-width="1.5"/>'))
    record = {"prompt": 'a <b> & "c" ]]> é', "seed": 7}
    Vector().write(drawing, tmp_path / "made.svg", record)
    root = ElementTree.parse(tmp_path / "made.svg").getroot()
    (metadata,) = [element for element in root if element.tag.endswith("metadata")]
    assert json.loads(metadata.text or "") == record
    assert Vector().read(tmp_path / "made.svg") == drawing
    assert [path.name for path in tmp_path.iterdir()] == ["made.svg"]


def test_the_order_and_cut_of_figures_do_not_matter():
    hole = '<path d="M9 14h6v4H9z" fill="none" stroke="#000" stroke-width="2"/>'
    dots = '<path d="M2 2h3v3H2zM19 2h3v3h-3z"/>'
    apart = '<path d="M19 2h3v3h-3z"/><path d="M2 2h3v3H2z"/>'
    one, two = Vector().take(svg(HOUSE + hole + dots)), Vector().take(svg(apart + hole + HOUSE))
    assert one == two and len(one.figures) == 4
    assert torch.equal(*Vector().features([one, two]))


def test_both_fill_rules_look_as_they_did():
    same, other = "M4 4h16v16H4zM8 8h8v8H8z", "M4 4h16v16H4zM8 8v8h8V8z"
    full, hollow = Vector().take(svg(f'<path d="{same}"/>')), Vector().take(svg(f'<path d="{other}"/>'))
    assert not full.figures[0].evenodd and hollow.figures[0].evenodd
    assert shades(full, 24)[12, 12] == 1 and shades(hollow, 24)[12, 12] == 0


def test_likeness_is_nearness_of_features():
    vector = Vector()
    house = vector.take(svg(HOUSE))
    moved = vector.take(svg(f'<g transform="translate(2 2) scale(.85)">{HOUSE}</g>'))
    ring = vector.take(svg('<circle cx="12" cy="12" r="9" fill="none" stroke="#000" stroke-width="2"/>'))
    features = vector.features([house, moved, ring, Drawing()])
    assert features.dtype == torch.float32 and bool(torch.isfinite(features).all())
    near, far = (features[0] - features[1]).norm(), (features[0] - features[2]).norm()
    assert near < 0.5 * far
    assert torch.equal(features, vector.features([house, moved, ring, Drawing()]))
    assert vector.features([]).shape == (0, features.shape[1])
    assert set(vector.shingles(house)) == set(vector.shingles(house)) and not set(vector.shingles(house)) & set(
        vector.shingles(ring)
    )


def test_given_figures_come_back_exactly():
    one, two, three, four = (Figure((("M", n + 1j), ("L", 9 + n * 1j)), fill=False, width=1.0) for n in range(4))
    rough = replace(one, width=2.0)
    vector = Vector()
    assert vector.compose(Drawing((rough, three)), Drawing((one,))).figures == (one, three)
    assert vector.compose(Drawing((rough, three, rough)), Drawing((one, two)), 1).figures == (one, three, two)
    assert vector.compose(Drawing((rough,)), Drawing((one, four)), 2).figures == (one, four)
    speck, new = Figure((("M", 20 + 20j), ("L", 20.01 + 20j))), Figure((("M", 2 + 18j), ("L", 9 + 20j)))
    given = Drawing((one, speck, three))
    assert vector.compose(Drawing((rough, three, new)), given).figures == (*given.figures, new)


def test_a_preview_is_a_picture_of_its_size():
    picture = Vector().preview(Vector().take(svg(HOUSE)), 40)
    assert picture.mode == "RGBA" and picture.size == (40, 40)
    assert render(Drawing(), 8).getchannel("A").getextrema() == (0, 0)
    with pytest.raises(Refusal, match="int"):
        Vector().take(3)


def test_arranging_again_changes_nothing():
    drawing = Vector().take(svg(HOUSE + '<path d="M2 2h3v3H2zM19 2h3v3h-3z"/>'))
    assert arrange(drawing) == drawing


def test_a_drawing_is_also_written_as_a_png_with_its_record(tmp_path: Path):
    drawing = Vector().take(f'{OPENING}<path d="M4 4h16v16H4z"/></svg>')
    Vector().write(drawing, tmp_path / "square.png", {"seed": 7})
    with Image.open(tmp_path / "square.png") as picture:
        assert picture.size == (512, 512) and json.loads(picture.info["septet"]) == {"seed": 7}
        assert picture.convert("RGBA").getpixel((256, 256)) == (0, 0, 0, 255)
        assert picture.convert("RGBA").getpixel((20, 20)) == (0, 0, 0, 0)
    with pytest.raises(Refusal, match="gif"):
        Vector().write(drawing, tmp_path / "square.gif", {})


GRADIENTS = (
    '<defs><linearGradient id="a"><stop stop-color="#000"/><stop offset="1" style="stop-color:red"/></linearGradient>'
    '<radialGradient id="b" href="#a"/><linearGradient id="c"><stop stop-color="#fff" stop-opacity="0"/>'
    '<stop offset="1" stop-color="#00f"/></linearGradient></defs>'
)


def test_colours_are_kept_in_the_order_of_painting():
    body = (
        '<path d="M4 4h9v9z" fill="#ff0000" stroke="blue" stroke-width="1"/><path d="M1 1h9v9z" fill="url(#b)"/>'
        '<path d="M1 1h22v22z" fill="url(\'#c\')"/><path d="M2 2h9v9z" fill="currentColor" opacity=".3"/>'
        '<path d="M3 3h9v9z" fill="url(#none)"/><path d="M3 3h9v9z" stroke="#000" stroke-width="2"/>'
    )
    figures = Vector(palette=8).take(svg(GRADIENTS + body)).figures
    found = [(figure.colour, figure.fill, figure.width, figure.faint) for figure in figures]
    assert found == [
        ("#ff0000", True, 0.0, False),
        ("#0000ff", False, 1.0, False),
        ("#800000", True, 0.0, False),
        ("#0000ff", True, 0.0, True),
        (None, True, 0.0, True),
        ("#000000", True, 2.0, False),
    ]
    assert {figure.colour for figure in Vector().take(svg(GRADIENTS + body)).figures} == {None}


def test_a_set_in_several_colours_keeps_so_many():
    shades_of_red = [f"#{240 - n:02x}0000" for n in range(9)]
    data = [
        Vector(palette=2).take(svg(f'<path d="M4 4h9v9z" fill="{red}"/><path d="M1 1h4v4z" fill="#00f"/>'))
        for red in shades_of_red
    ]
    learned, said = Vector(palette=2).learned(data)
    assert learned.colours and len(learned.colours) == 2 and "2 colours" in said[0]
    assert len({learned.postprocess(drawing) for drawing in data}) == 1
    assert {figure.colour for figure in learned.postprocess(data[0]).figures} == set(learned.colours)
    recoloured = replace(data[0].figures[0], colour="#00ff00"), data[0].figures[1]
    near, far = learned.features([data[0], data[1], Drawing(recoloured)])[1:] - learned.features(data[:1])
    assert near.norm() < far.norm()
    again, said = learned.learned(data)
    assert again is learned and not said


def test_a_set_in_one_colour_is_drawn_in_one():
    data = [Vector(palette=8).take(svg(f'<path d="M{n} 4h9v9z" fill="red"/>')) for n in range(20)]
    odd = Vector(palette=8).take(svg('<path d="M4 4h9v9z" fill="red"/><path d="M1 1h4v4z" fill="#00f"/>'))
    learned, said = Vector(palette=8).learned([*data, odd])
    assert learned.colours is None and said == ["1 are in several colours: all are converted to one."]
    assert learned.postprocess(odd) == Vector().take(svg('<path d="M4 4h9v9z"/><path d="M1 1h4v4z"/>'))
    with pytest.raises(Refusal, match="palette=1"):
        Vector(palette=1)
