"""The contracts: what a Modality, Codec, Backbone, Process, Conditioner and Learner promise to each other.

Over 250 lines because whoever adds a part finds all that is asked of it on one page.
Shapes: B batch, N sites, M context tokens, D width, K noise levels a sample.
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

from .folders.pictures import shown
from .folders.records import read_record
from .part import Part
from .space import Known, Refusal, Space

Prompt = str | Mapping[str, Any] | None  # words, or values by name: words, and data that Conditioner.contents names
Prepared = Tensor | dict[str, Tensor]  # prompts as tensors of a row each; of several conditioners, by name


@dataclass(frozen=True)
class Context:
    """What a prompt says to a backbone; each field may be absent. `aligned_BND` is added to the sites that the backbone
    is given. `symbols_BM` is the prompt as prepared, for a process that keeps a table by label instead of a network."""

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
        """The context of some samples of the batch."""
        return self._map(lambda t: t[index])

    def at(self, sites: Tensor) -> "Context":
        """The context of a backbone that is given these sites alone, (n,) or (B, n), in this order."""
        if self.aligned_BND is None:
            return self
        index = sites.to(self.aligned_BND.device).expand(len(self.aligned_BND), -1)
        return replace(self, aligned_BND=self.aligned_BND.gather(1, index[..., None].expand(-1, -1, self.width)))

    @property
    def width(self) -> int:
        """D, 0 where nothing is said."""
        found = (t for t in (self.aligned_BND, self.tokens_BMD, self.vector_BD) if t is not None)
        return next((t.shape[-1] for t in found), 0)

    def joined(self, other: "Context") -> "Context":
        """This context's rows followed by the other's, tokens padded to the longer. What one of the two lacks is filled
        up with zeros, which say nothing."""

        def join(a: Tensor | None, b: Tensor | None, rows: tuple[int, int]) -> Tensor | None:
            if a is None or b is None:
                said = b if a is None else a
                if said is None:
                    return None
                a = said.new_zeros(rows[0], *said.shape[1:]) if a is None else a
                b = said.new_zeros(rows[1], *said.shape[1:]) if b is None else b
            longest = max(a.shape[1], b.shape[1])
            pad = [[0, 0] * (t.dim() - 2) + [0, longest - t.shape[1]] for t in (a, b)]
            return torch.cat([F.pad(a, pad[0]), F.pad(b, pad[1])])

        one, two = self._told(), other._told()
        rows = one.batch or two.batch, two.batch or one.batch
        return Context(*(join(a, b, rows) for a, b in zip(vars(one).values(), vars(two).values(), strict=True)))

    @property
    def batch(self) -> int:
        """B, 0 where nothing is said."""
        return next((len(t) for t in vars(self).values() if t is not None), 0)

    def _told(self) -> "Context":
        """The context with each token marked as valid, if they all are."""
        if self.tokens_BMD is None or self.valid_BM is not None:
            return self
        return replace(self, valid_BM=self.tokens_BMD.new_ones(self.tokens_BMD.shape[:2], dtype=torch.bool))


@dataclass(frozen=True)
class Places:
    """Where the sites of x_BND are: coordinates_NA, (N, axes) or (B, N, axes); which document each belongs to, (B, N)
    with -1 for padding, sites of other documents being invisible; and whether a site sees only those before it."""

    coordinates_NA: Tensor
    documents_BN: Tensor | None = None
    causal: bool = False


@dataclass(frozen=True)
class State:
    """One moment of a draw: `latents` so far, and the `guess` at the finished latents."""

    step: int
    steps: int
    latents: Tensor
    guess: Tensor


class Backbone(Part, nn.Module):
    """(B, N, D) to (B, N, D). Knows neither data nor loss; `width` is D."""

    width: int

    @abstractmethod
    def forward(self, x_BND: Tensor, places: Places, context: Context, levels=None, cache=None) -> Tensor:
        """`levels` = (level_BK, which_BN): K noise levels in [0, 1] a sample, and which of them each site has."""


class Conditioner(Part, nn.Module):
    """Prompts to Context. `prepare` runs where data are loaded; the module runs where the model is."""

    modality: "Modality | None" = None  # of which its prompts are data; None where they are words
    length = 0  # context tokens that it gives at most

    @abstractmethod
    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        """(B, M, ...), int64 symbols or numbers, 0 for padding; a prompt of None, or "", says nothing. Several
        conditioners have a tensor each, by name."""

    @abstractmethod
    def forward(self, prepared: Prepared) -> Context: ...

    def nothing(self, batch: int) -> Prepared:
        """`batch` prepared prompts that say nothing."""
        return self.prepare([None] * batch)

    @property
    def takes_prompts(self) -> bool:
        prepared = self.nothing(1)
        return any(t.shape[1] for t in (prepared.values() if isinstance(prepared, dict) else [prepared]))

    @property
    def contents(self) -> "dict[str, Modality]":
        """The names in a prompt whose values are data, and of which modality each is."""
        return {}

    def heard(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """The prompts, or as many that say nothing where none are taken."""
        return list(prompts) if self.takes_prompts else [None] * len(prompts)

    def examples(self) -> Sequence[Prompt]:
        """Prompts in the words of training, the commonest first, for who has no data at hand."""
        return [None]

    def unseen(self, prompt: Prompt) -> list[str]:
        """Words of the prompt that training never saw, but for articles, prepositions and the like."""
        return []

    def unread(self, prompt: Prompt) -> list[str]:
        """Words at the end of a prompt that is longer than the conditioner reads."""
        return []


class Codec(Part, nn.Module):
    """Data to latents of `space` and back."""

    space: Space

    @abstractmethod
    def encode(self, data: Any) -> Tensor:
        """A list of data (uint8 (B, H, W, C) for pictures) to latents that `space` holds."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Any: ...

    def known(self, given: Any, where: Any = None) -> Known:
        """What a given datum fixes among the latents, as a Known of one sample. `where` marks the given part: for
        pictures a bool (H, W) array, true where it is to be kept."""
        raise Refusal(f"{type(self).__name__}: nothing can be given beforehand; leave out the given content")


class Learner(nn.Module):
    """All that the training loop sees."""

    players: tuple[str, ...] = ("model",)
    averaged: tuple[str, ...] = ("model",)  # the players whose weights are averaged and saved

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        """What this player trains; frozen parameters stay out."""
        return [p for p in self.parameters() if p.requires_grad]

    @abstractmethod
    def forward(self, batch: dict[str, Any], player: str, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one player, and named figures to log. `progress` runs from 0 to 1 over the stage."""

    def validation(self, batch: dict[str, Any]) -> dict[str, Tensor] | None:
        """{"loss": mean a unit, "weight": units} on one batch; None where no validation loss exists."""
        total, _ = self(batch, self.players[0], 1.0)
        return {"loss": total, "weight": torch.ones(())}


class Process(Part, nn.Module):
    """How latents are drawn: loss, noise and draws in one file, so that training and sampling cannot drift."""

    space: Space
    players: tuple[str, ...] = ("model",)
    averaged: tuple[str, ...] = ("model",)
    known: frozenset[str] = frozenset()  # the kinds of Known it was trained for
    noises = "normal"  # how its noise is distributed: "normal", or "uniform" in [0, 1)

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        return [p for p in self.parameters() if p.requires_grad]

    @abstractmethod
    def loss(self, latents: Tensor, context: Context, player: str, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to train `player` by, a mean a unit (nats a symbol for discrete Spaces), and figures to log.
        Randomness comes from torch's global stream, which the training loop seeds at every step."""

    def validation(self, latents: Tensor, context: Context) -> dict[str, Tensor] | None:
        """As Learner.validation, on latents."""
        total, _ = self.loss(latents, context, self.players[0], 1.0)
        return {"loss": total, "weight": torch.tensor(float(len(latents)))}

    @abstractmethod
    def noise(self, seeds: Sequence[int]) -> Tensor:
        """All randomness of a draw, one row a sample, keyed by seed and site, made on the CPU."""

    @abstractmethod
    def draws(self, noise: Tensor, context: Context, known: Known | None = None, **settings) -> Iterator[State]:
        """One State after each step. Its keyword arguments are the process's sampling settings; the one named
        `guidance` is a guidance.Guidance or None."""

    def sample(self, noise: Tensor, context: Context, known: Known | None = None, **settings) -> Tensor:
        """The last latents of `draws`."""
        return deque(self.draws(noise, context, known, **settings), maxlen=1)[0].latents

    def varied(self, latents: Tensor, strength: float) -> dict[str, Any]:
        """Arguments of `draws` that make it vary each of some latents, above 0 hardly, 1 beyond recognition."""
        raise Refusal(f"strength={strength}: a {type(self).__name__} cannot vary given content")

    def accept(self, known: Known | None) -> None:
        """Refuse a kind of Known that this process was not trained for."""
        if known is not None and known.kind not in self.known:
            can = ", ".join(sorted(self.known)) or "none"
            raise Refusal(
                f"{type(self).__name__} was not trained to fill in around a known {known.kind!r}; it takes: {can}"
            )


class Modality(Part):
    """What one datum is: read and written in standard files, previewed, composed, compared."""

    name: str
    extensions: tuple[str, ...]  # of the files it reads, lower case, with the dot
    suffixes: tuple[str, ...]  # of the files it can write, the usual one first
    captioned = True  # whether captions are looked for: file names, tables, a text beside
    spans = False  # whether copies are told by the spans that its strings share with those of training
    begins = False  # whether a prompt can be the beginning of a datum, which is gone on from
    tracked = False  # whether what a repository ignores is left out of a folder
    listed = False  # whether a datum is an item of a list, whole in itself, that is learned as often as it stands there

    @abstractmethod
    def read(self, path: Path) -> Any:
        """One datum; a file that does not hold one is a Refusal that says why."""

    @abstractmethod
    def write(self, datum: Any, path: Path, record: dict[str, Any]) -> None:
        """A finished file with its record inside, or in `path` + ".json" where the format has no room for one."""

    @abstractmethod
    def preview(self, datum: Any, size: int = 128) -> Any:
        """A PIL picture, RGBA, of at most size x size."""

    def player(self, datum: Any, size: int = 160) -> str:
        """HTML that shows or plays a datum, about `size` pixels large and complete in itself: what a datum holds is
        escaped, and nothing is fetched."""
        return shown(self.preview(datum, size))

    def record(self, path: Path) -> dict[str, Any] | None:
        """The record in, or beside, a file that `write` wrote; None where there is none."""
        return read_record(path)

    def region(self, text: str, datum: Any) -> Any:
        """The `where` of `compose` and Codec.known by which the part of a given datum that `text` names ("frame 1",
        "1.2-2.0 s") is drawn anew, and all else kept."""
        raise Refusal(f"--where {text}: {self.name} has no parts with names; leave it out")

    def compose(self, drawn: Any, given: Any, where: Any = None) -> Any:
        """The drawn datum with the given one exactly back where `where` says; without it, drawn on from the given one,
        which a modality may put back at the beginning."""
        if where is None:
            return drawn
        raise Refusal(f"{self.name}: filling in around a given part is not defined for this kind of content")

    @abstractmethod
    def features(self, data: Sequence[Any]) -> Tensor:
        """float32 (n, F): frozen features in which Euclidean distance means likeness."""

    def views(self, data: Sequence[Any]) -> list[Iterator[Tensor]]:
        """For each way of looking for copies (in colour, by shape): features of the data as they are, then under each
        change that leaves a copy a copy (mirrored, moved)."""
        return [iter([self.features(data)])]

    def extent(self, datum: Any) -> dict[str, float]:
        """How large a datum is, by measures that have names: pixels, characters, seconds."""
        return {}

    def canary(self, seed: int) -> Any:
        """A random datum that nobody would make, to be planted among training data."""
        raise Refusal(f"{self.name}: no canaries are made for this kind of content; leave them out")

    def fit(self, datum: Any) -> Any:
        """A datum as it was read, brought to the form that models of this modality know."""
        return datum

    def take(self, value: Any) -> Any:
        """One datum from a value in memory (a PIL picture, an array, a string)."""
        return value

    def pieces(self, datum: Any) -> list[tuple[Any, tuple[str, ...]]]:
        """What training takes of one datum (the picture at its one size, the tiles of a sheet), each with remarks that
        the report on the data counts."""
        return [(datum, ())]

    def cut(self, datum: Any, share: float) -> tuple[Any, Any] | None:
        """A datum that can be parted (a long text) without its last `share`, and that last share; None for others."""
        return None

    def sketch(self, datum: Any) -> np.ndarray:
        """uint32 (n,) hashes of what a datum is made of: near duplicates share most of them. Empty: not compared."""
        return np.zeros(0, np.uint32)

    def learned(self, data: Sequence[Any]) -> tuple["Modality", list[str]]:
        """This modality with what a whole set teaches it (a palette), and sentences that say so."""
        return self, []

    def finish(self, datum: Any) -> Any:
        """What a codec gave back as this kind of datum, set right by what was learned."""
        return datum
