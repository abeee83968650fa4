"""The interfaces of Modality, Codec, Backbone, Process, Conditioner and Learner.

Over 250 lines because everything that a new part has to implement is on one page.
Shapes: B batch, N sites, M context tokens, D width, K noise levels per sample.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .part import Part
from .space import Known, Refusal, Space
from .storage.pictures import shown
from .storage.records import read_record

Prompt = str | Mapping[str, Any] | None  # text, or named values: text, and data for the names in Conditioner.contents
Prepared = Tensor | dict[str, Tensor]  # a batch of prepared prompts; a dict for `Several` conditioners, by name


@dataclass(frozen=True)
class Context:
    """An encoded prompt, the conditioning input of a backbone; each field may be absent.

    `tokens_BMD`, valid where `valid_BM` is true, are attended to. `vector_BD` modulates. `aligned_BND` has one value
    per site and is added to the backbone's input. `symbols_BM` is the prepared prompt itself, for a process without
    a network that keeps fitted values for each label."""

    tokens_BMD: Tensor | None = None
    valid_BM: Tensor | None = None
    vector_BD: Tensor | None = None
    aligned_BND: Tensor | None = None
    symbols_BM: Tensor | None = None

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Context":
        fields = (self.tokens_BMD, self.valid_BM, self.vector_BD, self.aligned_BND, self.symbols_BM)
        return Context(*(None if t is None else change(t) for t in fields))

    def to(self, device) -> "Context":
        return self._map(lambda t: t.to(device))

    def rows(self, index) -> "Context":
        """The context of the samples at `index`."""
        return self._map(lambda t: t[index])

    def at(self, sites: Tensor) -> "Context":
        """Selects sites, indices of shape (n,) or (B, n), from the fields that have one value per site."""
        if self.aligned_BND is None:
            return self
        index = sites.to(self.aligned_BND.device).expand(len(self.aligned_BND), -1)
        return replace(self, aligned_BND=self.aligned_BND.gather(1, index[..., None].expand(-1, -1, self.width)))

    @property
    def width(self) -> int:
        """D; 0 if all fields are absent."""
        found = (t for t in (self.aligned_BND, self.tokens_BMD, self.vector_BD) if t is not None)
        return next((t.shape[-1] for t in found), 0)

    def joined(self, other: "Context") -> "Context":
        """Concatenates two contexts along the batch, tokens padded to the longer. A field that only one of them has is
        filled with zeros for the other."""

        def join(a: Tensor | None, b: Tensor | None, rows: tuple[int, int]) -> Tensor | None:
            if a is None or b is None:
                present = b if a is None else a
                if present is None:
                    return None
                a = present.new_zeros(rows[0], *present.shape[1:]) if a is None else a
                b = present.new_zeros(rows[1], *present.shape[1:]) if b is None else b
            longest = max(a.shape[1], b.shape[1])
            pad = [[0, 0] * (t.dim() - 2) + [0, longest - t.shape[1]] for t in (a, b)]
            return torch.cat([F.pad(a, pad[0]), F.pad(b, pad[1])])

        one, two = self._with_valid(), other._with_valid()
        rows = one.batch or two.batch, two.batch or one.batch
        return Context(*(join(a, b, rows) for a, b in zip(vars(one).values(), vars(two).values(), strict=True)))

    @property
    def batch(self) -> int:
        """B; 0 if all fields are absent."""
        return next((len(t) for t in vars(self).values() if t is not None), 0)

    def _with_valid(self) -> "Context":
        """The same context with an explicit `valid_BM`."""
        if self.tokens_BMD is None or self.valid_BM is not None:
            return self
        return replace(self, valid_BM=self.tokens_BMD.new_ones(self.tokens_BMD.shape[:2], dtype=torch.bool))


@dataclass(frozen=True)
class Places:
    """The sites of x_BND: their coordinates, (N, axes) or (B, N, axes); the index of each site's document, (B, N), -1
    for padding (attention stays within a document); and whether attention is causal."""

    coordinates_NA: Tensor
    documents_BN: Tensor | None = None
    causal: bool = False


@dataclass(frozen=True)
class State:
    """One step of sampling: the current `latents`, and `guess`, the network's prediction of the final ones."""

    step: int
    steps: int
    latents: Tensor
    guess: Tensor


class Backbone(Part, nn.Module):
    """A neural network from (B, N, D) to (B, N, D), without a loss, for any kind of data. `width` is D."""

    width: int

    @abstractmethod
    def forward(self, x_BND: Tensor, places: Places, context: Context, levels=None, cache=None) -> Tensor:
        """`levels` = (level_BK, which_BN): K noise levels in [0, 1] per sample, and for each site the index of its
        level. `cache` holds the keys and values of earlier steps."""


class Conditioner(Part, nn.Module):
    """Encodes prompts to a Context. `prepare` runs on the CPU with the data, `forward` on the model's device."""

    modality: "Modality | None" = None  # of the prompts, if they are data; None if they are text
    length = 0  # maximum number of context tokens

    @abstractmethod
    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        """Converts prompts to a tensor (B, M, ...) of int64 tokens or floats, 0 for padding; `Several` to a dict of
        such tensors. None and "" are the empty prompt."""

    @abstractmethod
    def forward(self, prepared: Prepared) -> Context:
        """Encodes prepared prompts, on the model's device."""

    def nothing(self, batch: int) -> Prepared:
        """`batch` prepared empty prompts, for unconditional sampling."""
        return self.prepare([None] * batch)

    @property
    def takes_prompts(self) -> bool:
        prepared = self.nothing(1)
        return any(t.shape[1] for t in (prepared.values() if isinstance(prepared, dict) else [prepared]))

    @property
    def contents(self) -> "dict[str, Modality]":
        """The names in a prompt whose values are data, each with its modality."""
        return {}

    def accepted(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """The prompts if this conditioner takes any, else as many empty ones."""
        return list(prompts) if self.takes_prompts else [None] * len(prompts)

    def examples(self) -> Sequence[Prompt]:
        """Example prompts in the vocabulary of the training data, most frequent first."""
        return [None]

    def unseen(self, prompt: Prompt) -> list[str]:
        """Words of the prompt that did not occur in training, without function words (articles, prepositions, ...)."""
        return []

    def unread(self, prompt: Prompt) -> list[str]:
        """Words at the end of a prompt that is longer than the maximum length, which are ignored."""
        return []


class Codec(Part, nn.Module):
    """Encodes data to latents in `space`, and decodes them."""

    space: Space

    @abstractmethod
    def encode(self, data: Any) -> Tensor:
        """Encodes a list of data, or a batched array (uint8 (B, H, W, C) for pictures), to latents in `space`."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Any:
        """Decodes latents to a list of data, or to a batched array as `encode` takes."""

    def encode_known(self, given: Any, where: Any = None) -> Known:
        """The latents that a given datum determines, as a Known with one sample. `where` marks the part that is kept,
        for pictures a bool (H, W) array."""
        raise Refusal(f"{type(self).__name__}: nothing can be given beforehand; leave out the given content")


class Learner(nn.Module):
    """The interface between a model and the training loop."""

    players: tuple[str, ...] = ("model",)  # the networks that are trained in turn: generator and critic of a GAN
    averaged: tuple[str, ...] = (
        "model",
    )  # the players whose weights are averaged (EMA); the averages are validated and saved

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        """The trainable parameters of this player."""
        return [p for p in self.parameters() if p.requires_grad]

    @abstractmethod
    def forward(self, batch: dict[str, Any], player: str, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one player, and named values to log. `progress` runs from 0 to 1 over the stage."""

    def validation(self, batch: dict[str, Any]) -> dict[str, Tensor] | None:
        """{"loss": mean per unit, "weight": number of units} of one batch, where a unit is an item, or a token in a
        discrete Space; None if no validation loss is defined."""
        total, _ = self(batch, self.players[0], 1.0)
        return {"loss": total, "weight": torch.ones(())}


class Process(Part, nn.Module):
    """A generative process over latents: training loss, noise and sampler in one class, so that they always agree."""

    space: Space
    players: tuple[str, ...] = ("model",)
    averaged: tuple[str, ...] = ("model",)
    supports: frozenset[str] = frozenset()  # the kinds of Known that it was trained for
    noise_distribution = "normal"  # the distribution of its noise: "normal", or "uniform" in [0, 1)

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        return [p for p in self.parameters() if p.requires_grad]

    @abstractmethod
    def loss(self, latents: Tensor, context: Context, player: str, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The training loss of `player`, a mean per item (per token, in nats, in discrete Spaces), and values to log.
        Uses torch's global random generator, which the training loop seeds at every step."""

    def validation(self, latents: Tensor, context: Context) -> dict[str, Tensor] | None:
        """As Learner.validation, on latents."""
        total, _ = self.loss(latents, context, self.players[0], 1.0)
        return {"loss": total, "weight": torch.tensor(float(len(latents)))}

    @abstractmethod
    def noise(self, seeds: Sequence[int]) -> Tensor:
        """All random numbers that sampling needs, one row per sample, generated on the CPU from its seed alone."""

    @abstractmethod
    def draws(self, noise: Tensor, context: Context, known: Known | None = None, **settings) -> Iterator[State]:
        """Samples, and yields a State after each step. The keyword arguments are the process's sampling settings; the
        one named `guidance` is a guidance.Guidance or None."""

    def sample(self, noise: Tensor, context: Context, known: Known | None = None, **settings) -> Tensor:
        """The latents of the last State of `draws`."""
        return deque(self.draws(noise, context, known, **settings), maxlen=1)[0].latents

    def varied(self, latents: Tensor, strength: float) -> dict[str, Any]:
        """Arguments of `draws` that generate variations of `latents`: `strength` near 0 hardly changes them, 1 ignores
        them."""
        raise Refusal(f"strength={strength}: a {type(self).__name__} cannot vary given content")

    def check_known(self, known: Known | None) -> None:
        """Raises Refusal for a kind of Known that this process was not trained for."""
        if known is not None and known.kind not in self.supports:
            can = ", ".join(sorted(self.supports)) or "none"
            raise Refusal(
                f"{type(self).__name__} was not trained to fill in around a known {known.kind!r}; it takes: {can}"
            )


class Modality(Part):
    """A kind of content: how a datum is read from and written to standard files, shown, edited and compared."""

    name: str
    extensions: tuple[str, ...]  # file name extensions that it reads, lower case, with the dot
    suffixes: tuple[str, ...]  # file name extensions that it writes, the default first
    captioned = True  # whether data have captions: in file names, tables or text files beside them
    compares_spans = False  # whether copying is measured by passages of text shared with the training data
    begins = False  # whether a prompt can be the beginning of a datum, which the model continues
    tracked = False  # whether files that .gitignore excludes are skipped
    listed = False  # whether a file is a list of data; repeated items are kept as often as they occur

    @abstractmethod
    def read(self, path: Path) -> Any:
        """Reads one datum; raises Refusal with the reason if the file holds none."""

    @abstractmethod
    def write(self, datum: Any, path: Path, record: dict[str, Any]) -> None:
        """Writes a file with its record inside, or in `path` + ".json" if the format cannot hold one."""

    @abstractmethod
    def preview(self, datum: Any, size: int = 128) -> Any:
        """A PIL picture, RGBA, at most size x size."""

    def html(self, datum: Any, size: int = 160) -> str:
        """HTML that shows or plays a datum, about `size` pixels large: self-contained, with all content escaped. The
        preview by default."""
        return shown(self.preview(datum, size))

    def record(self, path: Path) -> dict[str, Any] | None:
        """The record in, or beside, a file written by `write`; None if there is none."""
        return read_record(path)

    def region(self, text: str, datum: Any) -> Any:
        """Parses a part of a given datum that is to be generated anew ("frame 1", "1.2-2.0 s"). Returns the opposite:
        the `where` of `compose` and Codec.encode_known, which marks what is kept."""
        raise Refusal(f"--where {text}: {self.name} has no parts with names; leave it out")

    def compose(self, generated: Any, given: Any, where: Any = None) -> Any:
        """The generated datum with the given one restored exactly where `where` marks it. If `where` is None,
        `generated` continues `given`; implementations may replace its beginning by `given`."""
        if where is None:
            return generated
        raise Refusal(f"{self.name}: filling in around a given part is not defined for this kind of content")

    @abstractmethod
    def features(self, data: Sequence[Any]) -> Tensor:
        """float32 (n, F): fixed (not learned) features; similar data have a small Euclidean distance."""

    def views(self, data: Sequence[Any]) -> list[Iterator[Tensor]]:
        """One iterator per way of detecting copies (by colour, by shape). It yields the features of the data as they
        are, then those of each transformed version (mirrored, shifted) that still counts as a copy."""
        return [iter([self.features(data)])]

    def extent(self, datum: Any) -> dict[str, float]:
        """The size of a datum in named measures: pixels, characters, seconds."""
        return {}

    def canary(self, seed: int) -> Any:
        """A random datum to insert into the training data, to measure memorisation."""
        raise Refusal(f"{self.name}: no canaries are made for this kind of content; leave them out")

    def preprocess(self, datum: Any) -> Any:
        """Converts a datum as read to the form that models are trained on."""
        return datum

    def take(self, value: Any) -> Any:
        """Converts a value in memory (a PIL picture, an array, a string) to a datum."""
        return value

    def pieces(self, datum: Any) -> list[tuple[Any, tuple[str, ...]]]:
        """Splits a datum into training items (a picture at the training size, the tiles of a sheet), each with remarks
        that the data report counts."""
        return [(datum, ())]

    def cut(self, datum: Any, fraction: float) -> tuple[Any, Any] | None:
        """Splits a long datum (a text) into its beginning and its last `fraction`; None if it cannot be split."""
        return None

    def shingles(self, datum: Any) -> np.ndarray:
        """uint32 (n,) hashes of parts of a datum: near duplicates share most. Empty if it cannot be compared."""
        return np.zeros(0, np.uint32)

    def learned(self, data: Sequence[Any]) -> tuple["Modality", list[str]]:
        """This modality with properties learned from a data set (a palette), and sentences that describe them."""
        return self, []

    def postprocess(self, datum: Any) -> Any:
        """Applies the learned properties (snaps colours to the palette) to a decoded datum."""
        return datum
