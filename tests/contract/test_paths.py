"""The codec of drawings: short, inside its Space, equal to the eye, and never at a loss for what a draw means."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from septet.codecs.paths import Paths
from septet.modalities.drawing import Drawing, Figure
from septet.modalities.vector import Vector, arrange, render, shades
from septet.part import build, describe
from septet.space import PADDING, Known, Refusal

SHAPES = {
    "circle": '<circle cx="12" cy="12" r="9" fill="none" stroke="#000" stroke-width="2"/>',
    "disc of cubics": '<path d="M12 3C16.97 3 21 7.03 21 12S16.97 21 12 21 3 16.97 3 12 7.03 3 12 3z"/>',
    "ring": '<path d="M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 4a6 6 0 1 1 0 12 6 6 0 0 1 0-12z"/>',
    "same-way ring": '<path d="M4 4h16v16h-16zM8 8h8v8h-8z"/>',
    "ring with a hole and a cover": '<path d="M2 2h20v20H2zM5 5v6h6V5zM13 13h6v6h-6z"/>',
    "upwards": '<path d="M19 17A9 9 0 0 0 5 7" fill="none" stroke="#000" stroke-width="2"/>',
    "against the clock": '<path d="M4 4A12 12 0 0 0 20 20V4z"/>',
    "rounded": '<rect x="3" y="5" width="18" height="14" rx="3" fill="none" stroke="#000" stroke-width="1.5"/>',
    "half disc": '<path d="M12 4a8 8 0 0 1 0 16z"/>',
    "duotone": '<path opacity=".2" d="M4 4h16v16H4z"/><path d="M4 4h16v2H4z"/>',
    "dot": '<path d="M12 17h.01M12 8v5" fill="none" stroke="#000" stroke-width="2"/>',
    "leaf": '<path d="M4 20C4 9 10 3 21 3c0 12-6 17-17 17"/>',
    "arc": '<path d="M5 15A8 8 0 1 1 19 15" fill="none" stroke="#000" stroke-width="2"/>',
    "both": '<path d="M4 5h9l6 7-6 7H4z" stroke="#000" stroke-width="3"/>',
    "after a close": '<path d="M12 5 2 9l10 4 10-4zv6" fill="none" stroke="#000" stroke-width="2"/>',
}
LENGTHS = {"circle": 6, "disc of cubics": 6, "rounded": 18, "half disc": 8, "dot": 8}  # with the end symbol, at most


def drawing(name: str) -> Drawing:
    return Vector().take(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{SHAPES[name]}</svg>')


@pytest.mark.parametrize("name", SHAPES)
def test_a_round_trip_looks_the_same(name):
    codec = Paths()
    latents = codec.encode([drawing(name)])
    assert codec.space.holds(latents) and latents[0, -1] == codec.space.markers["end"]
    back = codec.decode(latents)[0]
    difference = np.abs(shades(back, 64) - shades(drawing(name), 64))
    assert difference.mean() < 0.006 and shades(back, 64).mean() > 0.01
    assert latents.shape[1] <= LENGTHS.get(name, 40)


def test_a_circle_comes_back_as_two_exact_arcs():
    figure = Paths().decode(Paths().encode([drawing("disc of cubics")]))[0].figures[0]
    assert figure.segments == (("M", 3 + 12j), ("A", 1.0, 21 + 12j), ("A", 1.0, 3 + 12j), ("Z",))


def test_a_batch_is_padded_after_its_ends():
    codec = Paths()
    one, two = drawing("circle"), drawing("leaf")
    latents = codec.encode([one, two])
    alone = codec.encode([one])[0]
    assert torch.equal(latents[0, : len(alone)], alone) and bool((latents[0, len(alone) :] == PADDING).all())


def test_a_drawing_beyond_the_length_is_refused():
    zigzag = tuple(("L", complex(2 + n % 5 * 4, 2 + n / 5)) for n in range(100))
    with pytest.raises(Refusal, match="at most 64"):
        Paths.tiny().encode([Drawing((Figure((("M", 1 + 1j), *zigzag)),))])


def test_the_codec_is_rebuilt_from_its_description():
    codec = build(describe(Paths(96, 100)), lambda name: {"codecs.Paths": Paths}[name], lambda name: "")
    assert codec.space == Paths(96, 100).space and codec.space != Paths().space
    with pytest.raises(Refusal, match="grid=7"):
        Paths(7)


def test_colours_follow_their_paint():
    codec = Paths(length=64, colours=["#ff0000", "#0000ff"])
    figures = [replace(drawing("leaf").figures[0], colour=colour) for colour in ("#ff0000", None, "#1010e0")]
    latents = codec.encode([Drawing(tuple(figures))])
    assert codec.space.holds(latents) and int((latents >= codec.ink).sum()) == 3
    back = codec.decode(latents)[0].figures
    assert [figure.colour for figure in back] == ["#ff0000", None, "#0000ff"]
    without = latents[:, [n for n in range(latents.shape[1]) if n != int((latents[0] >= codec.ink).nonzero()[1])]]
    assert [figure.colour for figure in codec.decode(without)[0].figures] == ["#ff0000", "#ff0000", "#0000ff"]
    plain = Paths(length=64)
    assert {figure.colour for figure in plain.decode(plain.encode([Drawing(tuple(figures))]))[0].figures} == {None}


def spans(known: Known) -> tuple[torch.Tensor, ...]:
    assert known.spans is not None and len(known.spans) == 1
    return known.spans[0]


def test_known_is_a_beginning_or_what_lies_around_a_gap():
    codec, given_drawing = Paths(), arrange(Drawing(drawing("rounded").figures + drawing("dot").figures))
    whole = codec.encode([given_drawing])[0]
    (beginning,) = spans(codec.encode_known(given_drawing))
    assert torch.equal(beginning, whole[:-1])
    before, after = spans(codec.encode_known(given_drawing, 1))
    assert torch.equal(torch.cat([before, after]), whole[:-1]) and len(before) and len(after)
    with pytest.raises(Refusal, match="where=9"):
        codec.encode_known(given_drawing, 9)


TWO_COLOURS = Paths(grid=48, length=64, colours=["#ff0000", "#0000ff"])


@given(st.lists(st.integers(-1, TWO_COLOURS.space.symbols or 0), max_size=40), st.sampled_from([True, False]))
def test_any_symbols_are_a_drawing_that_renders_and_encodes(symbols, coloured):
    codec = TWO_COLOURS if coloured else Paths.tiny()
    (back,) = codec.decode(torch.tensor([symbols], dtype=torch.int64))
    for figure in back.figures:
        assert figure.segments[0][0] == "M" and (figure.fill or figure.width)
        assert all(math.isfinite(abs(point)) for segment in figure.segments for point in segment[1:])
    render(back, 8)
    assert bool((codec.symbols_of(arrange(back)) >= 0).all())


@pytest.mark.parametrize("stop", [PADDING, 0])
def test_nothing_is_read_after_the_end_or_padding(stop):
    codec = Paths()
    whole = codec.symbols_of(drawing("ring"))
    assert codec.space.markers["end"] == 0
    (back,) = codec.decode(torch.cat([whole, torch.tensor([stop]), whole])[None])
    assert back == codec.decode(whole[None])[0] and back.figures


def test_a_point_under_a_pen_is_a_dot():
    shade = shades(Drawing((Figure((("M", 12 + 12j),), fill=False, width=4.0),)), 24)
    assert 0.8 < shade.sum() / (math.pi * 4) < 1.2  # a disc of the pen's width


def test_a_cut_sequence_keeps_all_that_was_finished():
    codec = Paths()
    whole = codec.encode([drawing("leaf")])
    counts = [sum(len(f.segments) for f in codec.decode(whole[:, :n])[0].figures) for n in range(whole.shape[1] + 1)]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == counts[-2] > 2


def test_what_makes_no_sense_takes_its_coordinates_with_it():
    codec = Paths()
    line, cubic, x, y = codec.index["line"], codec.index["cubic"], codec.x, codec.y
    start = codec.symbols_of(drawing("both"))[:3].tolist()
    symbols = [*start, line, x + 50, y + 60, cubic, x + 1, y + 1, x + 2, line, x + 90, y + 90]
    segments = codec.decode(torch.tensor([symbols]))[0].figures[0].segments
    assert [s[0] for s in segments[:3]] == ["M", "L", "L"] and segments[2][1] == 11.25 + 11.25j
