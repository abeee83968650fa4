"""Generator: a modality, codec, process and conditioner composed into one model that trains and generates.

Shapes: B batch, N sites.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from .conditioners.dropout import dropped
from .conditioners.prompts import fitted, recorded
from .contracts import Codec, Conditioner, Context, Learner, Modality, Process, Prompt, State
from .devices import moved
from .output import Given, Output, Outputs, record, told, untensored
from .part import Part, assets
from .processes.guidance import Guidance
from .processes.interpolation import contexts_between, normal_between, uniform_between
from .processes.settings import chosen, own, takes
from .processes.streams import checked_seed
from .space import Known, Refusal


@dataclass(frozen=True)
class Moment:
    """One step of generation: `done` of `total` outputs are finished, `outputs` those finished by this step."""

    done: int
    total: int
    state: State
    outputs: list[Output]


class Generator(Part, Learner):
    """A model composed of parts whose Spaces agree. `settings` are the default sampling settings (guidance, steps,
    temperature, ...); `prompt_dropout` is the probability that a training prompt is replaced by the empty prompt."""

    name, digest = "unsaved", ""  # of the model folder it was loaded from
    reference = ""  # the reference by which it was loaded
    grid: Callable[[str], Any] | None = None  # of weights that were published in 4 bits, see Incremental
    base: dict[str, Any] | None = None  # describes the base model of adapters, see openweights.adapted

    def __init__(
        self,
        modality: Modality,
        codec: Codec,
        process: Process,
        conditioner: Conditioner,
        prompt_dropout: float = 0.1,
        settings: dict[str, Any] | None = None,
    ):
        super().__init__()
        if codec.space != process.space:
            kinds = type(codec).__name__, type(process).__name__
            raise Refusal(f"{kinds[0]} encodes to {codec.space}, {kinds[1]} samples {process.space}: expected the same")
        self.modality, self.prompt_dropout, self.settings = modality, prompt_dropout, own(process, settings or {})
        self.codec, self.process, self.conditioner = codec, process, conditioner
        self.players, self.averaged = process.players, process.averaged
        codec.requires_grad_(False)  # a codec is trained in a stage of its own
        if any(part is codec for part in conditioner.modules()):
            raise Refusal("the conditioner shares the model's codec: give it a copy (copy.deepcopy)")
        assets(self)  # refuses two files with the same name

    def parameters_of(self, player: str) -> list[nn.Parameter]:
        # only the generator's loss updates the conditioner
        shared = self.conditioner.parameters() if player in self.averaged else []
        return [p for p in [*self.process.parameters_of(player), *shared] if p.requires_grad]

    def forward(self, batch: dict[str, Any], player: str, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        context = self.conditioner(dropped(batch["prompt"], self.conditioner, self.prompt_dropout))
        return self.process.loss(self._latents(batch), context, player, progress)

    def validation(self, batch: dict[str, Any]) -> dict[str, Tensor] | None:
        return self.process.validation(self._latents(batch), self.conditioner(batch["prompt"]))

    def _latents(self, batch: dict[str, Any]) -> Tensor:
        if "latents" in batch:
            return batch["latents"]
        with torch.no_grad():
            return self.codec.encode(batch["data"])

    @property
    def size(self) -> int:
        """The number of parameters; with adapters, including those of the base model."""
        learned = [*self.parameters(), *(self.buffers() if self.base is not None else ())]
        return sum(t.numel() for t in {t.data_ptr(): t for t in learned}.values())  # tied weights once

    @property
    def begins(self) -> bool:
        """Whether a prompt is the beginning of the output, which the model continues."""
        return self.modality.begins and not self.conditioner.takes_prompts

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def encode(self, data: Any) -> Tensor:
        return self.codec.encode(data)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> list[Any]:
        """Decodes latents to a list of data, with arrays in place of tensors."""
        weights = next(self.codec.parameters(), None)
        drawn = self.codec.decode(latents.to("cpu" if weights is None else weights.device))
        return [untensored(datum) for datum in drawn]

    @torch.no_grad()
    def score(self, data: Sequence[Any], prompts: Sequence[Prompt] | None = None) -> float:
        """The validation loss of `data`, in nats per symbol for discrete Spaces; Refusal if the process has none."""
        told = self.conditioner.prepare(fitted(prompts or [None] * len(data), self.conditioner.contents))
        batch = moved({"latents": self.encode(data), "prompt": told}, self.device)
        figures = self.eval().validation(batch)
        if figures is None:
            raise Refusal(f"{type(self.process).__name__} has no likelihood or validation loss to score with")
        return float(figures["loss"])

    def generate(
        self,
        prompt: Prompt | Sequence[Prompt] = None,
        count: int = 1,
        seed: int = 0,
        given: Given | None = None,
        tile: int = 8,
        **settings: Any,
    ) -> Outputs:
        """Generates `count` outputs for each prompt, with seeds `seed`, `seed` + 1, ... See `generating`."""
        if not 1 <= count <= 1_000_000:
            raise Refusal(f"count={count}: expected 1 to 1,000,000")
        prompts: list[Any] = list(prompt) if isinstance(prompt, list | tuple) else [prompt]
        requests = [(p, seed + k) for p in prompts for k in range(count)]
        return Outputs(o for moment in self.generating(requests, given, tile, **settings) for o in moment.outputs)

    def generating(
        self, requests: Sequence[tuple[Prompt, int]], /, given: Given | None = None, tile: int = 8, **settings: Any
    ) -> Iterator[Moment]:
        """Generates an output for each (prompt, seed) pair, in batches of `tile`; yields a Moment after each step.
        Short batches are padded, so that an output's bits depend on its seed, `tile`, threads and library versions, but
        not on the other outputs. Where prompts are beginnings, consecutive equal prompts are sampled together."""
        if not self.begins or given is not None:
            yield from self._drawing(requests, given, tile, settings)
            return
        done = 0
        for prompt, rows in groupby(requests, key=lambda request: request[0]):
            alike = [(None, seed) for _, seed in rows]
            for moment in self._drawing(alike, Given(prompt) if prompt else None, tile, settings):
                yield replace(moment, done=done + moment.done, total=len(requests))
            done += len(alike)

    def _drawing(
        self, requests: Sequence[tuple[Prompt, int]], given: Given | None, tile: int, settings: dict[str, Any]
    ) -> Iterator[Moment]:
        settings = chosen(self.process, settings, self.settings)
        guidance = settings.pop("guidance", 1.0)
        for _, seed in requests:
            checked_seed(seed)
        tile = min(tile, len(requests)) if tile > 0 else len(requests)
        self.eval()
        done, told = 0, fitted([prompt for prompt, _ in requests], self.conditioner.contents)
        requests = [(prompt, seed) for prompt, (_, seed) in zip(told, requests, strict=True)]
        for begin in range(0, len(requests), tile):
            rows, started = requests[begin : begin + tile], time.monotonic()
            padded = [*rows, *[rows[-1]] * (tile - len(rows))]
            context, pull = self._context([p for p, _ in padded], guidance)
            noise, held = self.process.noise([s for _, s in padded]), self._held(given, tile)
            states = self.process.draws(noise, context, **held, **pull, **settings)
            last = None
            for state in states:
                if last is not None:
                    yield Moment(done, len(requests), last, [])
                last = state
            assert last is not None
            facts = {**settings, **self._facts(guidance), "tile": tile}
            outputs = self._outputs(last, rows, given, facts, time.monotonic() - started)
            done += len(rows)
            yield Moment(done, len(requests), last, outputs)

    def interpolate(
        self, prompts: tuple[Prompt, Prompt], seeds: tuple[int, int], frames: int = 8, **settings: Any
    ) -> Outputs:
        """Generates `frames` outputs that interpolate from one prompt and seed to another."""
        if frames < 2:
            raise Refusal(f"frames={frames}: expected at least 2 for an interpolation")
        settings = chosen(self.process, settings, self.settings)
        guidance, started = settings.pop("guidance", 1.0), time.monotonic()
        told = fitted(prompts, self.conditioner.contents)
        ends = [recorded(prompt, self.conditioner.contents) for prompt in told]
        first, last = self.process.noise([checked_seed(seed) for seed in seeds])
        shares = torch.linspace(0, 1, frames)
        between = uniform_between if self.process.noise_distribution == "uniform" else normal_between
        noise = torch.stack([between(first, last, float(share)) for share in shares])
        context, pull = self._context([told[0]] * frames, guidance)
        if ends[0] != ends[1]:
            other, also = self._context([told[1]] * frames, guidance)
            context, pull = contexts_between(context, other, shares.to(self.device)), pull or also
        state = None
        for state in self.process.eval().draws(noise, context, **pull, **settings):
            pass
        assert state is not None
        facts = {**settings, **self._facts(guidance), "interpolated": [ends, list(seeds)]}
        rows = [(told[0] if share < 0.5 else told[1], seeds[0]) for share in shares]
        return Outputs(self._outputs(state, rows, None, facts, time.monotonic() - started))

    def _facts(self, guidance: float) -> dict[str, Any]:
        """Settings in a record that are not the process's."""
        return {"device": self.device.type} | ({"guidance": guidance} if takes(self.process, "guidance") else {})

    @torch.no_grad()
    def _context(self, prompts: list[Prompt], weight: float) -> tuple[Context, dict[str, Any]]:
        if not 0 <= weight <= 50:
            raise Refusal(f"guidance={weight}: expected 0 to 50; 1 means no guidance")
        context = self.conditioner(moved(self.conditioner.prepare(prompts), self.device))
        if weight == 1 or not any(prompts):
            return context, {}
        nothing = self.conditioner(moved(self.conditioner.nothing(len(prompts)), self.device))
        return context, {"guidance": Guidance(weight, nothing)}

    @torch.no_grad()
    def _held(self, given: Given | None, batch: int) -> dict[str, Any]:
        if given is None:
            return {}
        if given.strength is not None:
            return self.process.varied(self.codec.encode([given.content] * batch), given.strength)
        known = self.codec.encode_known(given.content, given.where)
        if known.kind == "spans" and "spans" not in self.process.supports and "mask" in self.process.supports:
            known = known.on_grid(self.process.space)
        if known.spans is not None:
            return {"known": Known(spans=known.spans * batch)}
        assert known.values is not None and known.where_BN is not None
        values = known.values.repeat(batch, *[1] * (known.values.dim() - 1))
        return {"known": Known(values, known.where_BN.repeat(batch, 1))}

    def shown(self, latents: Tensor) -> list[Any]:
        """Decodes latents and applies what the modality learned (a palette). Unfinished latents may raise Refusal."""
        return [self.modality.postprocess(datum) for datum in self.decode(latents)]

    def _outputs(self, state: State, rows: Sequence, given: Given | None, facts: dict, seconds: float) -> list[Output]:
        data = self.shown(state.latents[: len(rows)])
        if given is not None and given.strength is None:
            data = [self.modality.compose(datum, given.content, given.where) for datum in data]
        outputs = []
        for datum, (prompt, seed) in zip(data, rows, strict=True):
            used = facts | {"seconds": round(seconds / len(rows), 6)} | told(given)
            said = recorded(prompt, self.conditioner.contents)
            outputs.append(Output(datum, record(self.name, self.digest, said, seed, used), self.modality, prompt))
        return outputs
