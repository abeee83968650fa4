"""Continuous batching: many requests are decoded by one network, and may be added and dropped between steps.

Shapes: R rows, n symbols of a sequence, V vocabulary, N sites.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..backbones.incremental import Grid, Incremental
from ..backbones.transformer import Transformer
from ..space import Refusal
from .autoregressive import Autoregressive
from .continuations import Continuation
from .filters import capped

CHUNK = 128  # symbols of a new request that are read between two steps of the others (chunked prefill)
AHEAD = 7  # most symbols that are guessed: steps of eight symbols are the most efficient for the kernels
LONGEST_MATCH, SHORTEST_MATCH = 4, 2  # symbols before a guess that must have occurred earlier


@dataclass
class _Row:
    """A row of the cache: the request that uses it, and the symbols whose keys and values it holds."""

    request: Continuation | None = None
    read: list[int] = field(default_factory=list)


class Decoding:
    """Decodes up to `rows` requests at a time with a process that has no conditioner. Other arguments as in
    Incremental."""

    def __init__(
        self,
        process: Autoregressive,
        rows: int = 8,
        sites: int | None = None,
        bits: int = 32,
        channels_D: Tensor | None = None,
        grid: Callable[[str], Grid | None] = lambda name: None,
    ):
        if not isinstance(process.backbone, Transformer) or len(process.space.shape) != 1:
            raise Refusal("decoding needs an Autoregressive process with a Transformer, over sequences of symbols")
        if rows < 1:
            raise Refusal(f"rows={rows}: expected at least 1")
        table = process.table.weight.detach()
        if process.start is not None:
            table = torch.cat([table, process.start.detach()[None]])
        self.process, self.sites = process, min(sites or process.space.sites, process.space.sites)
        self.opening = [process.table.num_embeddings] if process.start is not None else []
        head = process.head.weight.detach()
        self.network = Incremental(process.backbone, table, head, bits, channels_D, grid)
        self.room = self.network.room(rows, self.sites + len(self.opening))
        self.rows = [_Row() for _ in range(rows)]
        self.active, self.entering = 0, False  # rows that are being decoded; whether the next row is being filled
        self.waiting: deque[Continuation] = deque()

    def compile(self) -> bool:
        """Compiles steps for a single request, for one with guesses, and for all rows; see Incremental.compile."""
        forms = dict.fromkeys([(1, 1), (1, AHEAD + 1), (len(self.rows), 1)])
        return self.network.compile(self.sites + len(self.opening), list(forms))

    def compile_meanwhile(self) -> None:
        """Compiles in a background thread, while decoding continues."""

        def compile_all() -> None:
            try:
                self.compile()
            except Exception as error:  # a C++ compiler fails in many ways; decoding continues without
                logging.getLogger("septet").info("steps are not compiled: %s", str(error).split("\n")[0])

        threading.Thread(target=compile_all, name="compiling", daemon=True).start()

    def admit(self, request: Continuation) -> None:
        """Queues a request, which starts as soon as a row is free."""
        if request.length < 1 or len(request.given) + request.length > self.sites:
            raise Refusal(
                f"a prompt of {len(request.given):,} tokens and {request.length:,} new ones: expected at least 1 new "
                f"token and at most {self.sites:,} in all; shorten the prompt or the length"
            )
        request.given = self.process.opened(request.given)
        self.waiting.append(request)

    def drop(self, request: Continuation) -> None:
        """Stops a request between two steps; it keeps the symbols sampled so far."""
        request.done = True
        if request in self.waiting:
            self.waiting.remove(request)
            return
        for place, row in enumerate(self.rows):
            if row.request is request:
                self._free(place)
                return

    @property
    def busy(self) -> bool:
        return bool(self.active or self.entering or self.waiting)

    def step(self) -> list[tuple[Continuation, list[int]]]:
        """Samples the next symbol for every request that has a row, or several symbols if guesses were right; and reads
        a chunk of the prompt of a new request. Returns requests with their new symbols."""
        sampled = self._advance() if self.active else []
        if not self.entering and self.waiting and self.active < len(self.rows):
            self._enter(self.waiting.popleft())
        return sampled + (self._read_on() if self.entering else [])

    def _whole(self, request: Continuation) -> list[int]:
        return self.opening + request.given.tolist()

    def _enter(self, request: Continuation) -> None:
        """Assigns a request to the free row whose cache has the longest common prefix with it."""
        whole = self._whole(request)
        free = range(self.active, len(self.rows))
        best = max(free, key=lambda place: _shared(self.rows[place].read, whole))
        self._swap(best, self.active)
        row = self.rows[self.active]
        row.request, row.read = request, row.read[: min(_shared(row.read, whole), len(whole) - 1)]
        self.entering = True

    def _read_on(self) -> list[tuple[Continuation, list[int]]]:
        row = self.rows[self.active]
        request = row.request
        assert request is not None
        whole = self._whole(request)
        chunk = whole[len(row.read) : len(row.read) + CHUNK]
        scores = self._run([chunk], self.active, 1)
        row.read += chunk
        if len(row.read) < len(whole):
            return []
        self.entering, self.active = False, self.active + 1
        return self._took(self.active - 1, scores[0], [])

    def _advance(self) -> list[tuple[Continuation, list[int]]]:
        """Decodes one symbol for all active rows; for a single row with guesses, as many as were guessed correctly."""
        guessed: list[int] = []
        first = self.rows[0].request
        if self.active == 1 and first is not None and first.guesses:
            most = min(AHEAD, first.guesses, first.length - len(first.drawn) - 1)
            guessed = guess(first.given.tolist() + first.drawn, most)
        if guessed and self._fits(1, AHEAD + 1):  # pad to the compiled size; wrong guesses are rejected anyway
            guessed += [0] * (AHEAD - len(guessed))
        fed = [[self._last(row)] for row in self.rows[: self.active]]
        fed[0] += guessed
        all_rows = self.active < len(self.rows) < 2 * self.active and self._fits(len(self.rows), 1)
        # A compiled step of all rows is faster then; idle rows get a symbol whose result is ignored.
        idle = [[0]] * (len(self.rows) - self.active) if all_rows else []
        scores = self._run([*fed, *idle], 0, self.active + len(idle), last=not guessed)
        sampled = []
        for row, symbols in zip(self.rows[: self.active], fed, strict=True):
            row.read += symbols
        for place in reversed(range(self.active)):  # backwards, since rows that end are swapped with the last
            sampled += self._took(place, scores[place], guessed if place == 0 else [])
        return sampled

    def _fits(self, rows: int, symbols: int) -> bool:
        """Whether a step for this many rows and symbols is compiled for the current lengths."""
        longest = max(len(row.read) for row in self.rows[:rows]) + symbols
        return any(key[:2] == (rows, symbols) and longest <= key[2] for key in list(self.network.compiled))

    @staticmethod
    def _last(row: _Row) -> int:
        assert row.request is not None
        return row.request.drawn[-1]

    def _run(self, fed: Sequence[Sequence[int]], begin: int, count: int, last: bool = True) -> Tensor:
        rows = self.rows[begin : begin + count]
        places = torch.tensor([len(row.read) for row in rows])
        room = self.room.rows(begin, count)
        scores = capped(self.network(torch.tensor(fed), places, room, last), self.process.softcap)
        scores[..., self.process.silent] = -torch.inf
        return scores

    def _took(self, place: int, scores_nV: Tensor, guessed: list[int]) -> list[tuple[Continuation, list[int]]]:
        """Samples from the scores of a row's symbols one after another, until a guess differs from the sampled
        symbol."""
        row, end = self.rows[place], self.process.space.markers.get("end")
        request, new = row.request, []
        assert request is not None
        for n, scores in enumerate(scores_nV):
            symbol = request.choose(scores)
            new.append(symbol)
            request.done = symbol == end or len(request.drawn) >= request.length
            if request.done or n >= len(guessed) or guessed[n] != symbol:
                break
        row.read = row.read[: len(row.read) - (len(guessed) + 1 - len(new))] if guessed else row.read
        if request.done:
            self._free(place)
        return [(request, new)]

    def _free(self, place: int) -> None:
        """Moves a row behind the active ones. Its cache is kept for requests with the same prefix."""
        self.rows[place].request = None
        if place == self.active:  # its prompt was being read
            self.entering = False
            return
        self._swap(place, self.active - 1)
        if self.entering:
            self._swap(self.active - 1, self.active)
        self.active -= 1

    def _swap(self, one: int, other: int) -> None:
        if one == other:
            return
        used = max(len(self.rows[one].read), len(self.rows[other].read))
        self.room.swap(one, other, used)
        self.rows[one], self.rows[other] = self.rows[other], self.rows[one]


def decode(decoding: Decoding, requests: Iterable[Continuation]) -> Iterator[tuple[Continuation, list[int]]]:
    """Decodes all requests to their end; yields (request, new symbols) as they are sampled."""
    for request in requests:
        decoding.admit(request)
    while decoding.busy:
        yield from decoding.step()


def guess(symbols: list[int], most: int) -> list[int]:
    """Prompt lookup decoding (Saxena 2023): up to `most` symbols that followed the last earlier occurrence of the end
    of `symbols`; none if there is no such occurrence."""
    for size in range(LONGEST_MATCH, SHORTEST_MATCH - 1, -1):
        tail = symbols[-size:]
        for begin in range(len(symbols) - size - 1, -1, -1) if len(symbols) > size and most > 0 else ():
            if symbols[begin : begin + size] == tail:
                return symbols[begin + size : begin + size + most]
    return []


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the common prefix."""
    for n, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return n
    return min(len(one), len(other))
