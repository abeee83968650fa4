"""Passages with gaps: the same at every step, nothing lost, gaps where a cursor may stand."""

import pytest
import torch

from septet.codecs.symbols import Symbols
from septet.data.passages import Passages
from septet.space import PADDING, Refusal

TEXTS = ["".join(f"line {n} of text {t}\n" for n in range(40)) for t in range(5)] + ["short\n"]


@pytest.fixture
def codec():
    return Symbols(128, "bytes")


def parts(codec: Symbols, row: torch.Tensor) -> tuple[str, str, str, bool] | None:
    """(prefix, suffix, middle, whether the suffix came first) of a row with a gap."""
    mark, symbols = codec.space.markers, row[row != PADDING].tolist()
    if mark["middle"] not in symbols:
        return None
    middle, suffix = symbols.index(mark["middle"]), symbols.index(mark["suffix"])

    def text(part: list[int]) -> str:
        return bytes(part).decode()

    assert symbols[0] == mark["prefix"] and symbols[-1] == mark["end"]
    if suffix == 1:
        return "", text(symbols[2:middle]), text(symbols[middle + 1 : -1]), True
    return text(symbols[1:suffix]), text(symbols[suffix + 1 : middle]), text(symbols[middle + 1 : -1]), False


def test_every_row_is_a_passage_of_a_text(codec):
    passages, filled, first, lines = Passages(TEXTS, codec, 16), 0, 0, 0
    for step in range(20):
        latents = passages.at(step)["latents"]
        assert latents.shape == (16, 128)
        for row in latents:
            found = parts(codec, row)
            if found is None:
                plain = codec.text_of(row)
                assert any(plain in text for text in TEXTS)
                continue
            prefix, suffix, middle, suffix_first = found
            whole = middle + suffix if suffix_first else prefix + middle + suffix
            filled, first = filled + 1, first + suffix_first
            assert suffix_first or any(whole in text for text in TEXTS)
            lines += suffix.startswith("\n") or not suffix
    assert 0.4 < filled / 320 < 0.6
    assert 0.35 < first / filled < 0.65
    assert lines / filled > 0.6  # most gaps end with a line


def test_a_step_is_the_same_whenever_it_is_asked_for(codec):
    one, other = Passages(TEXTS, codec, 4, seed=3), Passages(TEXTS, codec, 4, seed=3)
    assert torch.equal(one.at(7)["latents"], other.at(7)["latents"])
    assert not torch.equal(one.at(7)["latents"], one.at(8)["latents"])
    assert not torch.equal(one.at(7)["latents"], Passages(TEXTS, codec, 4, seed=4).at(7)["latents"])


def test_held_out_passages_are_a_fixed_sample(codec):
    passages = Passages(TEXTS, codec, 2, held_out=Passages(TEXTS[:1], codec, 2))
    first, second = (list(passages.validation()) for _ in range(2))
    assert len(first) == 16
    assert all(torch.equal(a["latents"], b["latents"]) for a, b in zip(first, second, strict=True))
    assert not list(Passages(TEXTS, codec, 2).validation())


def test_nothing_to_learn_from_is_refused(codec):
    with pytest.raises(Refusal, match="at least one file"):
        Passages([], codec, 2)


@pytest.mark.parametrize("length", [1, 15])
def test_rows_too_short_for_a_gap_are_refused(codec, length: int):
    with pytest.raises(Refusal, match=f"length={length}"):
        Passages(TEXTS, codec, 16, length=length)
