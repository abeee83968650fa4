"""The verdict convicts copies, plain or disguised, and a model that learned 64 pictures by heart; it acquits others."""

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from scipy import stats
from synthetic import pictures

from septet.audits import copying
from septet.backbones.transformer import Transformer
from septet.codecs.patches import Patches
from septet.conditioners.nothing import Nothing
from septet.data.batches import Batches
from septet.fitting import Settings, fit
from septet.fitting.pace import Pace
from septet.generator import Generator
from septet.modalities.image import Image
from septet.modalities.vector import Drawing, Figure, Vector
from septet.originality import calibration, nearness
from septet.processes.flow import Flow
from septet.space import Refusal

TRAINING, HELD_OUT = pictures(300, 1), pictures(220, 2)
NAMES = [f"shapes/{i}.png" for i in range(300)]


@pytest.fixture(scope="module")
def calibrated() -> nearness.Calibration:
    return nearness.calibrate(TRAINING, HELD_OUT, Image(24), NAMES)


def noisy(picture: np.ndarray) -> np.ndarray:
    stream = np.random.default_rng(int(picture.sum()))
    return (picture + stream.normal(0, 8, picture.shape) * (1, 1, 1, 0)).clip(0, 255).astype(np.uint8)


def cropped(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Pillow.fromarray(picture[1:-1, 1:-1]).resize((24, 24), Pillow.Resampling.BICUBIC))


def shifted(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((2, 0), (0, 1), (0, 0)), mode="edge")[:24, 1:]


DISGUISES = {
    "none": lambda p: p,
    "noise": noisy,
    "flip": lambda p: p[:, ::-1].copy(),
    "shift": shifted,
    "crop": cropped,
    "recolour": lambda p: p[..., [1, 2, 0, 3]],
    "all but crop": lambda p: noisy(p[:, ::-1])[..., [2, 0, 1, 3]],
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_copies_are_convicted_and_named(calibrated, disguise):
    verdicts = calibrated.verdicts([DISGUISES[disguise](picture) for picture in TRAINING[:40]])
    right = [v.word == "copy" and v.nearest == NAMES[i] for i, v in enumerate(verdicts)]
    assert sum(right) >= 32
    assert str(verdicts[right.index(True)]).startswith("copy of shapes/")


def test_held_out_data_are_acquitted(calibrated):
    verdicts = calibrated.verdicts(HELD_OUT)
    assert sum(v.word == "copy" for v in verdicts) <= 0.01 * len(HELD_OUT)
    assert sum(v.word != "new" for v in verdicts) <= 0.05 * len(HELD_OUT)
    fresh = [v.word for v in calibrated.verdicts(pictures(250, 3))]  # the rates hold on average, so chance is allowed
    assert fresh.count("copy") <= stats.binom.ppf(0.999, 250, 0.01)
    assert 250 - fresh.count("new") <= stats.binom.ppf(0.999, 250, 0.05)
    shares = calibrated.honest_shares()
    assert shares["copy"] <= 0.01 and shares["copy"] + shares["close"] <= 0.05


def test_few_held_out_items_are_joined_by_training_items():
    found = nearness.calibrate(TRAINING[:90], HELD_OUT[:10], Image(24), NAMES[:90])
    assert len(found.honest_n) == 100 and found.held_out == 10
    words = [v.word for v in found.verdicts([noisy(p[:, ::-1]) for p in TRAINING[:30]])]
    assert words.count("copy") >= 24
    assert [v.word for v in found.verdicts(HELD_OUT[100:160])].count("copy") <= 3
    with pytest.raises(Refusal, match="too few held-out items to calibrate: 3 held-out and 9"):
        nearness.calibrate(TRAINING[:9], HELD_OUT[:3], Image(24), NAMES[:9])


def test_a_diffusion_model_that_overfits_64_pictures_is_convicted():
    def small(data: list[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(Pillow.fromarray(p).resize((8, 8), Pillow.Resampling.BOX)) for p in data]

    training, held_out = small(TRAINING[:64]), small(HELD_OUT)
    torch.manual_seed(0)
    codec = Patches(8, 8, 3)
    backbone = Transformer(96, 1, heads=2, modulated=True, rotary_base=100.0)
    model = Generator(Image(8), codec, Flow(codec.space, backbone, deviation=0.6), Nothing(), settings={"steps": 10})
    batches = Batches(np.stack([p[..., :3] for p in training]), torch.zeros(64, 0, dtype=torch.int64), 64)
    settings = Settings(rate=0.006, optimiser="adamw", precision="fp32", average=0.98)
    for _ in fit(model, batches, settings, Pace(steps=600)):
        pass
    drawn = [output.datum for output in model.generate(count=32, tile=32)]
    words = [v.word for v in nearness.judge(drawn, training, held_out, Image(8), NAMES[:64])]
    assert words.count("copy") >= 13  # of 32, where honest draws would have none or one


def drawings(count: int, seed: int) -> list[Drawing]:
    stream = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        figures = []
        for _ in range(2):
            points = [complex(*stream.uniform(2, 22, 2).round()) for _ in range(4)]
            figures.append(Figure((("M", points[0]), *(("L", p) for p in points[1:]), ("Z",))))
        found.append(Drawing(tuple(figures)))
    return found


def test_drawings_are_seen_through_a_mirror_and_another_order():
    training, held_out = drawings(60, 1), drawings(120, 2)

    def mirrored(figure: Figure) -> Figure:
        return Figure(tuple((s[0], *(24 - p.conjugate() for p in s[1:])) for s in figure.segments))

    copies = [Drawing(tuple(mirrored(figure) for figure in reversed(d.figures))) for d in training[:20]]
    names = [f"{i}.svg" for i in range(60)]
    verdicts = nearness.judge(copies, training, held_out, Vector(), names)
    assert [str(v) for v in verdicts] == [f"copy of {i}.svg" for i in range(20)]
    assert {v.word for v in nearness.judge(held_out[:40], training, held_out, Vector(), names)} <= {"new", "close"}


def test_p_values_hold_for_honest_scores():
    stream = np.random.default_rng(0)
    for count in (25, 60, 400):
        pairs = [(stream.uniform(size=50) ** 0.2, stream.uniform(size=count) ** 0.2) for _ in range(200)]
        p = np.concatenate([calibration.p_values(*pair) for pair in pairs])
        assert (p <= 0.01).mean() <= 0.013 and (p <= 0.05).mean() <= 0.055
    assert calibration.p_values(np.array([0.01]), stream.uniform(size=60) ** 0.2)[0] < 0.001
    with pytest.raises(Refusal, match="too few held-out items to calibrate: 19"):
        calibration.p_values(np.zeros(1), np.ones(19))


def test_authentic_share_and_the_sign_of_the_copying_score():
    stream = torch.Generator().manual_seed(0)
    training, held_out, honest = torch.randn(3, 300, 3, generator=stream)
    copies = training[:200] + 0.02 * torch.randn(200, 3, generator=stream)
    apart = torch.cdist(honest, training)
    own = torch.cdist(training, training).fill_diagonal_(torch.inf).min(1).values
    expected = (apart.min(1).values > own[apart.argmin(1)]).float().mean()
    assert copying.authentic_share(honest, training) == pytest.approx(float(expected), abs=1e-6)
    assert copying.authentic_share(copies, training) < 0.1
    scores = [copying.copying_score(x, held_out, training) for x in (copies, honest, 3 * honest)]
    assert scores[0] is not None and scores[1] is not None and scores[2] is not None
    assert scores[0] < -3 and abs(scores[1]) < 3 and scores[2] > 3
    made, unseen = np.array([1.0, 2.0, 2.5]), np.array([0.5, 2.0, 3.0, 4.0])
    u = stats.mannwhitneyu(made, unseen).statistic
    assert copying._rank_score(made, unseen) == pytest.approx((u - 6) / 8**0.5)  # mn (m + n + 1) / 12 = 8
