"""Trains a model that does not ship, `pictures`: text to emoji as pictures in five styles, by GPT, BERT or diffusion
over latents.

Shapes: n pictures, B batch, S pixels per side, V views, K variants of a prompt, M symbols of it, N sites, C channels.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import emoji
import numpy as np
import torch
from starter import Starter
from torch import Tensor
from wordings import Wordings, prepared

from septet.backbones.transformer import Transformer
from septet.codecs.distances import Crispness
from septet.codecs.quantised import Quantised
from septet.codecs.variational import Variational
from septet.conditioners.text import Text
from septet.contracts import Codec, Process
from septet.data.batches import Batches
from septet.data.dataset import Dataset
from septet.fitting import Settings
from septet.generator import Generator
from septet.modalities.image import Image
from septet.processes.flow import Flow
from septet.processes.masked import Masked
from septet.processes.permuted import Permuted
from septet.recipes import Plan, Stage
from septet.space import Refusal

SETTINGS = {
    "gpt": {"guidance": 1.5, "temperature": 0.9},
    "bert": {"guidance": 1.5, "steps": 16},
    "diffusion": {"guidance": 2.0, "steps": 20, "solver": "heun"},
}
FACTS = {
    "summary": "Text to colour emoji: say what, then a style (3d, flat, gradient, noto, blob).",
    "license": "apache-2.0",
    "sources": [f"{name}: {package} {version}" for name, (package, version, _) in emoji.STYLES.items()],
    "attribution": "Drawn after Fluent Emoji (Microsoft, MIT) and Noto Emoji (Google, Apache-2.0); captions by "
    "emojibase (MIT). NOTICE names them all.",
    "limits": "Things that no emoji shows are guesses. No flags, default skin tone only, no legible letters.",
}
SHIFTS = ((0, 0), (0, 1), (1, 0))  # of the fixed views, in units of the margin
FITTED = 2048  # most pictures on which a variational codec is calibrated
ROWS = 256  # pictures encoded at a time


class Pictures:
    """The dataset, and batches of its pictures and of their latents."""

    def __init__(self, source: Any, batch: int, seed: int):
        self.found, self.batch, self.seed = emoji.load(Path(source)), batch, seed
        self.size = self.found.pictures.shape[1]
        self.training, self.validation = (np.flatnonzero(self.found.splits == split) for split in (0, 1))
        stream = np.random.default_rng(seed)
        rows = zip(self.found.prompts, self.found.tags, strict=True)
        self.said = [emoji.ways(prompt, tags, stream) for prompt, tags in rows]
        told = "\n".join("\t".join((p, *tags)) for p, tags in zip(self.found.prompts, self.found.tags, strict=True))
        digest = hashlib.sha256(self.found.pictures.tobytes() + told.encode()).hexdigest()
        self.dataset = Dataset([], list(self.found.prompts), list(self.found.codes), Image(self.size))
        self.dataset.training, self.dataset.validation = self.training.tolist(), self.validation.tolist()
        self.dataset.fingerprint = digest
        counts = f"{len(self.training):,} emoji to train on, {len(self.validation):,} held out for validation"
        self.dataset.report = [f"{counts}; a test split is never read."]

    @property
    def previews(self) -> list[Any]:
        chosen = np.random.default_rng(5).permutation(self.validation)[:12]
        return [self.found.prompts[i] for i in chosen]

    def heard(self, width: int, inner: int) -> Text:
        return Text.learned(width, [said for i in self.training for said in self.said[i]], inner=inner)

    def to_codec(self) -> Batches:
        """Batches of pictures without prompts, randomly mirrored and shifted."""
        none, pictures = torch.zeros(len(self.found.pictures), 0, dtype=torch.int64), self.found.pictures
        held_out = Batches(pictures, none, self.batch, index=self.validation.tolist())
        return Batches(pictures, none, self.batch, self.seed, self._moved, held_out, index=self.training.tolist())

    def _moved(self, picture_SS4: Tensor, stream: torch.Generator) -> Tensor:
        margin = self.size // 24
        down, right = torch.randint(-margin, margin + 1, (2,), generator=stream).tolist()
        flipped = picture_SS4.flip(1) if torch.rand((), generator=stream) < 0.5 else picture_SS4
        return torch.roll(flipped, (down, right), (0, 1))

    @torch.no_grad()
    def encoded(self, encode: Callable[[Tensor], Tensor], index: np.ndarray, views: bool) -> Tensor:
        """(n, V, ...) encodings of all views of the pictures, or (n, 1, ...) of the unchanged pictures."""
        pictures, mirrors = self.found.pictures[index], self.found.mirrors[index][:, None, None, None]
        answers = []
        for mirrored in (False, True) if views else (False,):
            turned = np.where(mirrors & mirrored, pictures[:, :, ::-1], pictures)
            for shift in SHIFTS if views else SHIFTS[:1]:
                moved = np.roll(turned, [step * (self.size // 24) for step in shift], (1, 2))
                parts = [encode(torch.from_numpy(moved[b : b + ROWS])) for b in range(0, len(moved), ROWS)]
                answers.append(torch.cat(parts))
        return torch.stack(answers, 1)

    def to_model(
        self,
        conditioner: Text,
        encode: Callable[[Tensor], Tensor],
        view: Callable[[Tensor, torch.Generator], Tensor],
    ) -> Wordings:
        """Batches of cached encodings, from which `view` makes latents for each row."""
        prompts_nKM = prepared(conditioner, self.said)
        rows = self.encoded(encode, self.validation, views=False)
        stream = torch.Generator().manual_seed(self.seed)
        rows = torch.stack([view(row, stream) for row in rows])
        held_out = Batches(rows, prompts_nKM[self.validation, 0], self.batch)
        answers, prompts = self.encoded(encode, self.training, views=True), prompts_nKM[self.training]
        return Wordings(Batches(answers, prompts, self.batch, self.seed, view, held_out, name="latents"))


def symbols(codec: Codec) -> Callable[[Tensor], Tensor]:
    """Encodes to int16 (B, N)."""
    return lambda data: codec.eval().encode(data).to(torch.int16)


def one_view(answers_VN: Tensor, stream: torch.Generator) -> Tensor:
    return answers_VN[torch.randint(len(answers_VN), (), generator=stream)].long()


def distribution(codec: Variational) -> Callable[[Tensor], Tensor]:
    """Encodes to (B, 2, N, C), mean and standard deviation."""
    return lambda data: torch.stack(codec.eval().encode_distribution(data), 1).half()


def one_draw(answers_V2NC: Tensor, stream: torch.Generator) -> Tensor:
    """Samples latents from the distribution of one random view."""
    mean_NC, deviation_NC = answers_V2NC[torch.randint(len(answers_V2NC), (), generator=stream)].float()
    return mean_NC + deviation_NC * torch.randn(mean_NC.shape, generator=stream)


def codec_of(start: Generator | None, kind: type, size: int, width: int, **options: Any) -> Any:
    """The codec of the model `start`, or a new one."""
    if start is None:
        return kind((size, size), width=width, decoder_blocks=2, alpha=True, **options)
    if not isinstance(start.codec, kind) or start.codec.shape != (size, size):
        found = f"its codec is not a {kind.__name__} for {size} x {size} pictures"
        raise Refusal(f"{start.name}: {found}; give another model")
    return start.codec


def planned(
    pictures: Pictures,
    process: Process,
    codec: Quantised | Variational,
    settings: dict[str, Any],
    fit: Settings,
    codec_share: float,
    width: int,
    start: Generator | None,
) -> Plan:
    """A plan of two stages: the codec on pictures, unless that of `start` is used, then the process on latents,
    conditioned on captions."""
    conditioner = pictures.heard(width, width // 2)
    generator = Generator(Image(pictures.size), codec, process, conditioner, settings=dict(settings))
    codec.requires_grad_(start is None)  # a Generator freezes its codec

    def calibrate() -> None:
        if isinstance(codec, Variational):
            codec.eval()
            some = pictures.training[:: len(pictures.training) // FITTED + 1]
            codec.calibrate(torch.from_numpy(pictures.found.pictures[some]).split(ROWS))

    def latents() -> Wordings:
        if isinstance(codec, Variational):
            return pictures.to_model(conditioner, distribution(codec), one_draw)
        return pictures.to_model(conditioner, symbols(codec), one_view)

    stages = [Stage("model", generator, latents, fit, 1 - codec_share)]
    if start is None:
        first = Settings(rate=0.002, optimiser="adamw", average=0.998)
        stages.insert(0, Stage("codec", codec, pictures.to_codec, first, codec_share, calibrate))
    return Plan(generator, stages, pictures.dataset, {"emoji": len(pictures.training)}, pictures.previews)


def emoji_gpt(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    width: int = 192,
    layers: int = 6,
    codec_width: int = 48,
    batch: int = 32,
    rate: float = 0.02,
    dropout: float = 0.1,
    fill: float = 0.25,
    codec_share: float = 0.25,
    compiled: bool = True,
) -> Plan:
    """A causal transformer on the symbols of an FSQ codec; it can complete any region."""
    pictures = Pictures(source, batch, seed)
    torch.manual_seed(seed)
    codec = codec_of(start, Quantised, pictures.size, codec_width)
    backbone = Transformer(width, layers, heads=4, dropout=dropout, rotary_base=100.0)
    process = Permuted(codec.space, backbone, fill=fill)
    fit = Settings(rate=rate, average=0.999, decay=0.6, compile=compiled)
    return planned(pictures, process, codec, SETTINGS["gpt"], fit, codec_share, width, start)


def emoji_bert(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    width: int = 224,
    layers: int = 6,
    codec_width: int = 48,
    batch: int = 64,
    rate: float = 0.02,
    dropout: float = 0.1,
    fill: float = 0.2,
    codec_share: float = 0.25,
    compiled: bool = True,
) -> Plan:
    """A bidirectional transformer on masked symbols of an FSQ codec; it can complete any region."""
    pictures = Pictures(source, batch, seed)
    torch.manual_seed(seed)
    codec = codec_of(start, Quantised, pictures.size, codec_width)
    backbone = Transformer(width, layers, heads=4, dropout=dropout, rotary_base=100.0)
    fit = Settings(rate=rate, average=0.999, decay=0.6, compile=compiled)
    process = Masked(codec.space, backbone, fill=fill)
    return planned(pictures, process, codec, SETTINGS["bert"], fit, codec_share, width, start)


def emoji_diffusion(
    source: Any,
    seed: int = 0,
    start: Generator | None = None,
    seconds: float | None = None,
    width: int = 224,
    layers: int = 6,
    codec_width: int = 48,
    channels: int = 6,
    batch: int = 64,
    rate: float = 0.02,
    dropout: float = 0.1,
    fill: float = 0.2,
    codec_share: float = 0.25,
    compiled: bool = True,
) -> Plan:
    """A flow on the latents of a variational codec, which are sampled again in every epoch."""
    pictures = Pictures(source, batch, seed)
    torch.manual_seed(seed)
    apart = {"latent_channels": channels, "distance": Crispness(alpha=True)}
    codec = codec_of(start, Variational, pictures.size, codec_width, **apart)
    backbone = Transformer(width, layers, heads=4, modulated=True, dropout=dropout, rotary_base=100.0)
    fit = Settings(rate=rate, average=0.999, decay=0.6, compile=compiled)
    process = Flow(codec.space, backbone, fill=fill)
    return planned(pictures, process, codec, SETTINGS["diffusion"], fit, codec_share, width, start)


RECIPES = {"gpt": emoji_gpt, "bert": emoji_bert, "diffusion": emoji_diffusion}

if __name__ == "__main__":
    facts = {kind: FACTS | {"tags": ["emoji", kind]} for kind in RECIPES}
    for kind in ("gpt", "bert"):  # image_diffusion has another codec
        facts[kind] |= {"continues_with": f"image_{kind}"}
    data, build = emoji.CACHE / "emoji-40.npz", partial(emoji.build, archives=emoji.CACHE, size=40)
    Starter("pictures", RECIPES, data, build, facts, SETTINGS).main(__doc__)
