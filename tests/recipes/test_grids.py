"""What recipes over grids share, tried on clips: a recipe of the test alone, data to draws."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from septet.backbones.transformer import Transformer
from septet.codecs.patches import Patches
from septet.codecs.quantised import Quantised
from septet.codecs.variational import Variational
from septet.conditioners.nothing import Nothing
from septet.contracts import Modality
from septet.data.batches import Batches
from septet.fitting import Settings
from septet.generator import Generator, Given
from septet.models import load
from septet.processes.flow import Flow
from septet.processes.masked import Masked
from septet.recipes import Plan, Stage
from septet.recipes._grids import coded_plan, conditioner_for, gathered
from septet.runs.run import train
from septet.space import Refusal

FRAMES, SIDE = 3, 8


class Clips(Modality):
    """uint8 (T, H, W, 3)."""

    name, extensions, suffixes = "clips", (".npy",), (".npy",)

    def read(self, path: Path) -> np.ndarray:
        return np.load(path)

    def write(self, datum: Any, path: Path, record: dict[str, Any]) -> None:
        assert isinstance(datum, np.ndarray)
        np.save(path, datum)

    def preview(self, datum: Any, size: int = 128) -> Any:
        from PIL import Image

        return Image.fromarray(datum[0]).convert("RGBA")

    def features(self, data: Sequence[Any]) -> torch.Tensor:
        return torch.stack([torch.from_numpy(datum.mean((1, 2), dtype=np.float32).ravel()) for datum in data])

    def postprocess(self, datum: Any) -> np.ndarray:
        assert isinstance(datum, np.ndarray), f"a {type(datum).__name__} reached the data"
        return datum

    def compose(self, drawn: Any, given: Any, where: Any) -> np.ndarray:
        return np.where(where[..., None], given, drawn)


def clips(count: int = 24) -> list[np.ndarray]:
    """A square of some colour that moves."""
    stream, made = np.random.default_rng(0), np.zeros((count, FRAMES, SIDE, SIDE, 3), np.uint8)
    for clip in made:
        x, y, colour = int(stream.integers(5)), int(stream.integers(3)), stream.integers(80, 256, 3)
        for t, frame in enumerate(clip):
            frame[y + t : y + t + 3, x : x + 3] = colour
    return list(made)


def clips_of(kind: str):
    """A recipe over clips: "patches", or in two stages "variational" or "quantised"."""

    def recipe(source: Any, seed: int = 0, start: Generator | None = None, seconds: float | None = None) -> Plan:
        data, trained = gathered(source, Clips(), 8, seed, "clips"), start is not None
        torch.manual_seed(seed)
        shape, apart = (FRAMES, SIDE, SIDE), {"width": 8, "down": (1, 4, 4), "stem": (1, 2, 2)}
        codec: Any = {
            "patches": lambda: Patches(shape, (1, 4, 4), 3),
            "variational": lambda: Variational(shape, 3, 2, **apart),
            "quantised": lambda: Quantised(shape, 3, (4, 3), **apart),
        }[kind]()
        backbone = Transformer(32, 1, 2, modulated=not codec.space.discrete)
        process = (Masked if codec.space.discrete else Flow)(codec.space, backbone, fill=0.5)
        hears = conditioner_for("text", 32, data.prompts)
        model = start or Generator(Clips(), codec, process, hears, settings={"steps": 4})
        fits = Settings(rate=0.002, optimiser="adamw"), Settings(rate=0.002, optimiser="adamw")
        if kind == "patches":
            return Plan(model, [Stage("flow", model, lambda: data.batches(model.conditioner), fits[1])], data.dataset)
        return coded_plan(data, model, type(codec), fits, 0.5, trained)

    recipe.__name__ = f"clips_{kind}"
    return recipe


@pytest.mark.parametrize("kind", ["patches", "variational", "quantised"])
def test_clips_are_learned_saved_and_drawn_as_arrays(kind: str, tmp_path: Path):
    said = [f"square {n % 3}" for n in range(24)]
    model = train((clips(), said), clips_of(kind), tmp_path / "model", parts=[Clips], steps=8)
    again = load(tmp_path / "model", parts=[Clips])
    drawn = again.generate("square 1", count=2, seed=3)
    assert [output.datum.shape for output in drawn] == [(FRAMES, SIDE, SIDE, 3)] * 2
    assert all(isinstance(output.datum, np.ndarray) and output.datum.dtype == np.uint8 for output in drawn)
    assert np.array_equal(drawn[0].datum, model.generate("square 1", count=2, seed=3)[0].datum)
    first = np.arange(FRAMES)[:, None, None] < np.full((1, SIDE, SIDE), 1)  # the first frame is given
    held = again.generate("square 1", seed=3, given=Given(clips()[0], first))[0].datum
    assert np.array_equal(held[0], clips()[0][0]) and not np.array_equal(held, clips()[0])


def test_latents_of_a_variational_codec_are_drawn_anew_at_every_step():
    torch.manual_seed(0)
    data, codec = (
        gathered(clips(), Clips(), 4, 0),
        Variational((FRAMES, SIDE, SIDE), 3, 2, width=8, stem=1, down=(1, 4, 4)),
    )
    batches = data.latents(Nothing(), codec)
    seen: dict[int, list[torch.Tensor]] = {}
    for step in range(60):
        index = batches.index[batches.order(step // batches.per_epoch)[step % batches.per_epoch]]
        for i, row in zip(index.tolist(), batches.at(step)["latents"], strict=True):
            seen.setdefault(i, []).append(row)
    with torch.no_grad():
        mean, deviation = codec.eval().encode_distribution(data.dataset.data)
    every = torch.cat([(torch.stack(r) - mean[i]) / deviation[i] for i, r in seen.items()])
    assert abs(float(every.mean())) < 0.1 and abs(float(every.std()) - 1) < 0.05
    assert all(len({float(row.sum()) for row in rows}) == len(rows) for rows in seen.values())
    assert torch.equal(batches.at(7)["latents"], data.latents(Nothing(), codec).at(7)["latents"])  # a resumed run's
    once, twice = (torch.cat([b["latents"] for b in batches.validation()]) for _ in "ab")
    assert torch.equal(once, twice) and len(once) == len(data.dataset.validation)


def test_data_of_several_shapes_are_refused_where_one_is_needed():
    ragged = [np.zeros((n, SIDE, SIDE, 3), np.uint8) for n in range(1, 13)]
    with pytest.raises(Refusal, match="clips data of several shapes or types"):
        gathered(ragged, Clips(), 8, 0)
    for items in (ragged, [torch.zeros(3), torch.zeros(2)], [torch.zeros(2, 2).long()]):
        with pytest.raises(Refusal, match="items differ in shape: expected one tensor or array"):
            Batches(items, torch.zeros(len(items), 0).long(), 4)  # pyright: ignore[reportArgumentType]


def test_a_model_of_another_recipe_is_not_gone_on_from():
    start = clips_of("quantised")(clips()).generator
    with pytest.raises(Refusal, match="its codec is a Quantised, expected Variational"):
        clips_of("variational")(clips(), start=start)
