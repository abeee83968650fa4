"""A composed model: seeds, given content, interpolation and settings, on untrained models of tiny size."""

from typing import Any

import numpy as np
import pytest
import torch

from septet.backbones.transformer import Transformer
from septet.codecs.patches import Patches
from septet.codecs.symbols import GAP, Symbols
from septet.conditioners.nothing import Nothing
from septet.conditioners.text import Text
from septet.generator import Generator, Given
from septet.modalities.image import Image
from septet.modalities.text import Text as Prose
from septet.processes.autoregressive import Autoregressive
from septet.processes.flow import Flow
from septet.processes.gaussian import Gaussian
from septet.processes.masked import Masked
from septet.space import Known, Refusal, Space

LETTERS = "abcdefgh "


def disturbed(generator: Generator) -> Generator:
    """With weights that do something: several start at zero."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in generator.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return generator.eval()


@pytest.fixture(scope="module")
def painter() -> Generator:
    codec = Patches(8, 2, 4)
    backbone = Transformer(32, 1, 2, modulated=True)
    words = Text.learned(32, ["a red apple", "a green pear"], layers=1, inner=16)
    return disturbed(
        Generator(Image(8), codec, Flow(codec.space, backbone, fill=0.5), words, settings={"steps": 4, "guidance": 2.0})
    )


@pytest.fixture(scope="module")
def writer() -> Generator:
    codec = Symbols(32, "characters", LETTERS)
    return disturbed(Generator(Prose(), codec, Autoregressive(codec.space, Transformer(32, 1, 2), 0.5), Nothing()))


@pytest.fixture(scope="module")
def guesser() -> Generator:
    codec = Symbols(32, "characters", LETTERS)
    process = Masked(codec.space, Transformer(32, 1, 2), fill=0.5)
    return disturbed(Generator(Prose(), codec, process, Nothing(), settings={"steps": 8}))


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 4), dtype=np.uint8)


def test_parts_of_different_spaces_are_refused():
    codec = Patches(8, 2, 4)
    flow = Flow(Space((4,), channels=3), Transformer(32, 1, 2, modulated=True))
    with pytest.raises(Refusal, match=r"Patches encodes to Space.*Flow samples Space"):
        Generator(Image(8), codec, flow, Nothing())


def test_a_seed_has_its_noise_in_any_batch(painter: Generator, writer: Generator, guesser: Generator):
    for model in (painter, writer, guesser):
        alone = model.process.noise([5])
        among = model.process.noise([9, 5, 2**63 - 1, 0])
        assert torch.equal(alone[0], among[1])
        assert not torch.equal(among[1], among[2])


def test_with_a_tile_size_a_seed_has_the_same_bits_alone_and_among_others(painter: Generator):
    alone = painter.generate("a red apple", seed=5, tile=4)
    # A tile never grows beyond what is asked for, so the single one is padded by hand.
    among = painter.generate("a red apple", count=6, seed=2, tile=4)
    padded = [moment for moment in painter.generating([("a red apple", 5)] * 4, tile=4)][-1].outputs
    assert np.array_equal(among[3].datum, padded[0].datum)
    assert np.array_equal(among[3].datum, padded[3].datum)
    assert np.abs(alone[0].datum.astype(int) - among[3].datum).max() <= 1
    assert [output.record["seed"] for output in among] == [2, 3, 4, 5, 6, 7]


def test_a_short_tile_is_padded(painter: Generator):
    moments = list(painter.generating([(None, seed) for seed in range(5)], tile=4))
    assert {len(moment.state.latents) for moment in moments} == {4}
    assert sum(len(moment.outputs) for moment in moments) == 5


def test_a_text_goes_on_from_its_beginning(writer: Generator, guesser: Generator):
    for model in (writer, guesser):
        outputs = model.generate(count=3, given=Given("abba "))
        assert all(output.text.startswith("abba ") for output in outputs)
        assert len({output.text for output in outputs}) > 1


@pytest.mark.parametrize("which", ["writer", "guesser"])
def test_a_gap_is_filled(which: str, request):
    model = request.getfixturevalue(which)
    for output in model.generate(count=3, seed=1, given=Given(f"abba {GAP} head")):
        assert output.text.startswith("abba ") and output.text.endswith(" head")
        assert GAP not in output.text


def test_gaps_in_a_row_are_longer(guesser: Generator):
    one, two = (guesser.generate(seed=1, given=Given(f"ab{gaps}ba"))[0].text for gaps in (GAP, GAP * 2))
    assert len(one) < len(two) <= 4 + 2 * 4  # an eighth of 32 sites each, less where a marker was drawn


def test_a_gap_that_does_not_fit_is_refused(guesser: Generator):
    with pytest.raises(Refusal, match="the model generates at most 32"):
        guesser.generate(given=Given("a" * 30 + GAP + "b"))


def test_spans_stand_on_the_grid_with_an_end_after_them():
    known = Known(spans=((torch.tensor([1, 2]), torch.tensor([3])),))
    placed = known.on_grid(Space((16,), symbols=9, markers={"end": 8}))
    assert placed.values is not None and placed.where_BN is not None
    assert placed.values.tolist() == [[1, 2, -1, -1, 3, 8]]
    assert placed.where_BN.tolist() == [[True, True, False, False, True, True]]


def test_known_pixels_come_back_exactly(painter: Generator):
    given = picture()
    where = np.zeros((8, 8), bool)
    where[:, :5] = True  # cuts through a patch
    for output in painter.generate("a red apple", count=2, given=Given(given, where)):
        assert np.array_equal(output.datum[where], given[where])
        assert not np.array_equal(output.datum[~where], given[~where])


def test_a_variation_begins_nearer_to_its_original_at_less_strength(painter: Generator):
    given = picture()
    latents, distance = painter.encode([given]), []
    for strength in (0.1, 0.5, 1.0):
        # After one step of many the draw has hardly left the place where it began.
        first = next(painter.generating([(None, 3)], Given(given, strength=strength), steps=1000, solver="euler"))
        distance.append(float((first.state.latents - latents).abs().mean()))
    assert distance[0] < 0.5 * distance[1] < 0.5 * distance[2]
    for strength in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(Refusal, match="strength="):
            painter.generate(given=Given(given, strength=strength))


def test_symbols_are_varied_behind_their_beginning(writer: Generator):
    text = "abbaabba"
    for strength, kept in ((0.01, 8), (0.5, 4), (0.75, 2)):
        drawn = {output.text for output in writer.generate(count=8, given=Given(text, strength=strength))}
        assert all(each.startswith(text[:kept]) for each in drawn) and len(drawn) > 1
    with pytest.raises(Refusal, match="strength="):
        writer.generate(given=Given(text, strength=0.0))


def test_what_cannot_be_varied_says_so():
    with pytest.raises(Refusal, match="cannot vary"):
        Gaussian.tiny().varied(torch.zeros(1, 4, 2), 0.5)


@pytest.mark.parametrize("last", ["a green pear", "pear", ""])
@pytest.mark.parametrize("first", ["a red apple", ""])
def test_an_interpolation_begins_and_ends_at_its_seeds(first: str, last: str, painter: Generator):
    frames = painter.interpolate((first, last), (3, 4), frames=5)
    ends = [painter.generate(prompt, seed=seed)[0].datum for prompt, seed in ((first, 3), (last, 4))]
    assert len(frames) == 5
    for frame, end in ((frames[0], ends[0]), (frames[-1], ends[1])):
        assert np.abs(frame.datum.astype(int) - end).max() <= 2
    assert not np.array_equal(frames[2].datum, frames[0].datum)


def test_an_interpolation_of_symbols_begins_and_ends_at_its_seeds(writer: Generator, guesser: Generator):
    for model in (writer, guesser):
        frames = [frame.datum for frame in model.interpolate((None, None), (3, 4), frames=9)]
        ends = [model.generate(seed=seed)[0].datum for seed in (3, 4)]
        assert [frames[0], frames[-1]] == ends and len(set(frames)) > 2


def test_an_interpolation_that_cannot_be_is_refused(painter: Generator):
    for seeds, frames in (((0, 1), 1), ((0, -1), 8)):
        with pytest.raises(Refusal, match="frames=1|seed=-1"):
            painter.interpolate(("a", "a"), seeds, frames)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"steps": 2.5},
        {"steps": 10**9},
        {"steps": "many"},
        {"guidance": -1},
        {"guidance": float("nan")},
        {"guidance": "much"},
        {"solver": "magic"},
        {"solver": 3},
        {"shift": float("inf")},
        {"temperature": 1.0},
        {"near": 1},
    ],
    ids=str,
)
def test_an_impossible_setting_is_refused_by_name(settings: dict[str, Any], painter: Generator):
    (name,) = settings
    with pytest.raises(Refusal, match=f"^{name}="):
        painter.generate("a red apple", **settings)


@pytest.mark.parametrize(
    "settings", [{"temperature": -1}, {"temperature": "hot"}, {"top_k": 0}, {"top_p": 2.0}], ids=str
)
def test_an_impossible_way_to_choose_symbols_is_refused(settings: dict[str, Any], writer: Generator):
    with pytest.raises(Refusal, match=next(iter(settings))):
        writer.generate(**settings)


@pytest.mark.parametrize("count,seed", [(0, 0), (-1, 0), (10**9, 0), (1, -1), (1, 2**63), (2, 2**63 - 1)])
def test_an_impossible_count_or_seed_is_refused(count: int, seed: int, painter: Generator):
    with pytest.raises(Refusal, match="count=|seed="):
        painter.generate("a red apple", count=count, seed=seed)


def test_moments_tell_how_far_a_draw_is(painter: Generator):
    moments = list(painter.generating([(None, seed) for seed in range(3)], tile=2))
    assert [moment.done for moment in moments] == [0, 0, 0, 2, 2, 2, 2, 3]
    assert sum(len(moment.outputs) for moment in moments) == 3
    assert all(moment.total == 3 for moment in moments)


def test_a_record_tells_how_to_draw_again(painter: Generator):
    first = painter.generate("a red apple", seed=7, tile=1, solver="euler")[0]
    used = first.record["settings"]
    assert used["steps"] == 4 and used["guidance"] == 2.0 and used["solver"] == "euler" and used["tile"] == 1
    settings = {name: used[name] for name in ("steps", "guidance", "solver", "tile")}
    again = painter.generate(first.record["prompt"], seed=first.record["seed"], **settings)[0]
    assert np.array_equal(first.datum, again.datum)


def test_a_score_is_lower_for_what_is_likelier(writer: Generator):
    assert np.isfinite(writer.score(["abba head"]))
