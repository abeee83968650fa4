"""Influence by gradients: a planted source is found, and leaving items out does what the scores say."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from septet.audits.influence import Influence
from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners.nothing import Nothing
from septet.data.batches import Batches
from septet.fitting import Settings, fit
from septet.fitting.pace import Pace
from septet.generator import Generator, Given
from septet.modalities.text import Text
from septet.processes.autoregressive import Autoregressive
from septet.space import Refusal

LETTERS = "abcdefgh"
CODEC = Symbols.learned([LETTERS + "xyz"], "characters", 10)


def words(count: int, seed: int) -> list[str]:
    """Words of eight letters in six families, two letters changed in each."""
    stream, found = np.random.default_rng(seed), []
    for k in range(count):
        word = np.random.default_rng(50 + k % 6).choice(list(LETTERS), 8)
        for _ in range(2):
            word[stream.integers(8)] = stream.choice(list(LETTERS))
        found.append("".join(word))
    return found


def trained(data: list[str], seed: int = 0, steps: int = 120) -> Generator:
    torch.manual_seed(seed)
    process = Autoregressive(CODEC.space, Transformer(16, 1, heads=2))
    model = Generator(Text(), CODEC, process, Nothing())
    items = [CODEC.encode([datum])[0] for datum in data]
    batches = Batches(items, torch.zeros(len(items), 0, dtype=torch.int64), 8, seed)
    settings = Settings(rate=0.01, optimiser="adamw", precision="fp32", average=0.9)
    for _ in fit(model, batches, settings, Pace(steps=steps)):
        pass
    return model.eval()


def test_the_one_item_that_explains_a_trait_is_found():
    data = [*words(48, 1), "xyzzyxyx"]
    model = trained(data, steps=200)
    drawn = [output.text for output in model.generate(count=50, given=Given("x"), temperature=0.7)]
    influence = Influence(model, data, [None] * len(data))
    ranks = [1 + int((scores > scores[48]).sum()) for scores in (influence.scores(text, None) for text in drawn)]
    assert sum(rank <= 5 for rank in ranks) >= 40


def test_scores_foretell_what_leaving_out_does():
    data, asked = words(48, 1), words(12, 9)
    influence = Influence(trained(data), data, [None] * 48)
    scores = torch.stack([influence.scores(text, None) for text in asked])
    stream = np.random.default_rng(0)
    halves = [stream.permutation(48)[:24] for _ in range(24)]
    losses = np.zeros((24, 12))
    for row, half in zip(losses, halves, strict=True):
        for seed in range(2):
            model = trained([data[i] for i in half], seed)
            row += [model.score([text]) / 2 for text in asked]
    foretold = np.stack([scores[:, half].sum(1).numpy() for half in halves])
    ranks = [rankdata(table, axis=0) for table in (foretold, -losses)]  # Spearman: the correlation of ranks
    found = [np.corrcoef(ranks[0][:, k], ranks[1][:, k])[0, 1] for k in range(12)]
    assert np.mean(found) >= 0.2  # of scores that tell nothing: 0


def test_too_many_items_are_refused():
    with pytest.raises(Refusal, match="influence supports at most 5,000"):
        Influence(trained(words(12, 1), steps=1), ["a"] * 5001, [None] * 5001)
