"""Several gaps in one sequence, filled one after the other."""

import pytest
import torch

from septet.backbones.transformer import Transformer
from septet.codecs.symbols import GAP, Symbols
from septet.conditioners.nothing import Nothing
from septet.contracts import Context
from septet.generator import Generator, Given
from septet.modalities.text import Text
from septet.processes.autoregressive import Autoregressive
from septet.space import PADDING, Known, Refusal

SEEDS = [3, 1, 4, 15]
END = 5


@pytest.fixture(scope="module")
def process() -> Autoregressive:
    torch.manual_seed(0)
    process = Autoregressive.tiny()
    with torch.no_grad():
        for p in process.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return process.eval()


def known(*spans: list[int], rows: int = 1) -> Known:
    return Known(spans=(tuple(torch.tensor(span, dtype=torch.int64) for span in spans),) * rows)


def kept(row: torch.Tensor) -> list[int]:
    return row[row != PADDING].tolist()


def test_each_gap_knows_the_ones_before_it_and_counts_later_ones_as_empty(process: Autoregressive):
    noise, a, b, c = process.noise([7]), [0, 1], [2, 3], [1]
    whole = kept(process.sample(noise, Context(), known(a, b, c), length=3)[0])
    first = kept(process.sample(noise, Context(), known(a, b + c), length=3)[0])
    middle = first[len(a) : len(first) - len(b + c) - 1]
    second = kept(process.sample(noise[:, 3:], Context(), known(a + middle + b, c), length=3)[0])
    assert whole == second and first == a + middle + b + c + [END]


def test_all_that_is_known_comes_back_in_order_and_within_the_space(process: Autoregressive):
    states = list(process.draws(process.noise(SEEDS), Context(), known([0, 1], [2], [3, 0], rows=4)))
    assert [state.step for state in states] == list(range(len(states))) and states[-1].steps >= len(states)
    for row in map(kept, states[-1].latents):
        assert len(row) <= 16 and row[:2] == [0, 1] and row[-3:] == [3, 0, END] and row.count(END) == 1 and 2 in row
        assert not {6, 7, 8} & set(row)
    assert len({tuple(kept(row)) for row in states[-1].latents}) > 1


def test_a_row_is_the_same_alone_and_beside_rows_of_other_gaps(process: Autoregressive):
    spans = (known([0, 1], [2], [3]), known([1], [2, 3]), known([2, 1]), known([], [1], [2], []))
    parts = [row.spans for row in spans]
    together = Known(spans=tuple(part[0] for part in parts if part is not None))
    rows = process.sample(process.noise(SEEDS), Context(), together, length=2)
    for row, one, seed in zip(rows, spans, SEEDS, strict=True):
        assert kept(row) == kept(process.sample(process.noise([seed]), Context(), one, length=2)[0])


def test_gaps_that_do_not_fit_are_refused(process: Autoregressive):
    with pytest.raises(Refusal, match="14 known tokens and 3 gaps: the model generates at most 16"):
        process.sample(process.noise([1]), Context(), known([0] * 5, [1] * 5, [2], []))


def test_a_text_with_several_gaps_is_filled():
    torch.manual_seed(0)
    codec = Symbols(64, "characters", "abcdefgh ")
    model = Generator(Text(), codec, Autoregressive(codec.space, Transformer(32, 1, 2), fill=0.5), Nothing())
    for output in model.generate(count=2, seed=1, given=Given(f"abba {GAP} cab {GAP} head")):
        text = output.text
        assert text.startswith("abba ") and text.endswith(" head") and " cab " in text and GAP not in text
