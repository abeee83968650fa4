"""Copied spans against plain search; the verdict on texts; bits a byte of the baseline."""

import random

import numpy as np
import pytest
import torch
from synthetic import text

from septet.audits import likelihood
from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners.nothing import Nothing
from septet.data.batches import Windows
from septet.fitting import Settings, fit
from septet.fitting.pace import Pace
from septet.generator import Generator
from septet.modalities.text import Text
from septet.originality import nearness, spans
from septet.processes.autoregressive import Autoregressive
from septet.recipes.text_gpt import stream
from septet.space import Refusal


def longest(one: str, many: list[str]) -> int:
    one, many = spans.normalised(one), [spans.normalised(text) for text in many]
    runs = {one[i:j] for i in range(len(one)) for j in range(i + 1, len(one) + 1)}
    return max([0, *(len(run) for run in runs if any(run in other for other in many))])


def test_longest_spans_against_plain_search(monkeypatch):
    monkeypatch.setattr(spans, "CHUNK", 40)
    chance = random.Random(0)

    def words(count: int) -> str:
        return "".join(chance.choice("ab \n") for _ in range(count))

    for _ in range(20):
        training = [words(chance.randrange(1, 120)) for _ in range(4)]
        asked = [words(chance.randrange(1, 40)) for _ in range(3)] + ["", "zz"]
        found = spans.copied(asked, training)
        assert [span.length for span in found] == [longest(one, training) for one in asked]
        for span in found:
            assert span.text in spans.normalised(training[span.source]) and len(span.text) == span.length


def test_case_and_white_space_are_no_disguise_and_the_source_is_named():
    training = [text(40, 1), text(40, 2)]
    copied = training[1][300:420].upper().replace(" ", "\n  ")
    (span,) = spans.copied([f"qqqq {copied} qqqq"], training)
    assert span.source == 1 and span.length >= 115
    assert span.covered == pytest.approx(120 / 130, abs=0.05)


def test_the_verdict_convicts_replayed_text_and_acquits_held_out_text():
    training, held_out, fresh = text(1500, 1), text(1000, 2), text(800, 3)
    names = ["tales.txt"]
    pieces = [fresh[i : i + 150] for i in range(0, len(fresh) - 150, 150)]
    halves = [fresh[i * 150 : i * 150 + 75] + training[i * 500 : i * 500 + 75] for i in range(40)]
    words = [v.word for v in nearness.judge(halves, [training], [held_out], Text(), names)]
    assert words.count("copy") >= 36
    words = [v.word for v in nearness.judge(pieces, [training], [held_out], Text(), names)]
    assert words.count("copy") <= 0.02 * len(pieces) and words.count("new") >= 0.9 * len(pieces)
    found = spans.judge(pieces, [training], [held_out])
    assert found.honest_shares["copy"] <= 0.01 and found.honest_shares["copy"] + found.honest_shares["close"] <= 0.05
    with pytest.raises(Refusal, match="too few held-out items to calibrate: 2 pieces"):
        spans.judge(pieces[:1], [training], [held_out[:320]])


def test_a_gpt_that_learned_its_text_by_heart_is_convicted():
    training, held_out = text(40, 1), text(400, 2)
    torch.manual_seed(0)
    codec = Symbols.learned([training, held_out], "characters", 96)
    process = Autoregressive(codec.space, Transformer(64, 2, heads=2))
    model = Generator(Text(), codec, process, Nothing(), settings={"temperature": 0.5})
    settings = Settings(rate=0.004, optimiser="adamw", precision="fp32", average=0.98)
    for _ in fit(model, Windows(stream(codec, [training]), 96, 16), settings, Pace(steps=200)):
        pass
    drawn = [output.text for output in model.generate(count=16, tile=16)]
    verdicts = nearness.judge(drawn, [training], [held_out], Text(), ["tales.txt"])
    assert sum(str(v) == "copy of tales.txt" for v in verdicts) >= 11


def test_the_baseline_against_its_formula():
    training, held_out = b"abracadabra", b"abrb"

    def chance(context: bytes, byte: int) -> float:
        lower = 1 / 256 if not context else chance(context[1:], byte)
        if not context:
            after = list(training)
        else:
            places = range(len(context), len(training))
            after = [training[i] for i in places if training[i - len(context) : i] == context]
        kinds = len(set(after))
        return (after.count(byte) + kinds * lower) / (len(after) + kinds) if after else chance(context[1:], byte)

    bits = [-np.log2(chance(held_out[max(0, i - likelihood.ORDER) : i], held_out[i])) for i in range(len(held_out))]
    assert likelihood.baseline(training, held_out) == pytest.approx(np.mean(bits), rel=1e-9)
    noise = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    assert likelihood.baseline(noise[:2500], noise[2500:]) > 7.5
