"""Decoding for many: requests are admitted, advanced and dropped between steps, one network for all of them.

Shapes: R rows, n symbols, V symbols, N sites.
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

CHUNK = 128  # symbols of a new request that are read between two steps of the others
AHEAD = 7  # symbols that are guessed at most: eight at a time take the kernels least
LONGEST_MATCH, SHORTEST_MATCH = 4, 2  # symbols before a guess that must have stood before


@dataclass
class _Row:
    """A place in the cache: whose it is, and the symbols it has read."""

    request: Continuation | None = None
    read: list[int] = field(default_factory=list)


class Decoding:
    """Up to `rows` requests at a time over a process without prompts; the rest as in Incremental."""

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
            raise Refusal("decoding needs an Autoregressive with a Transformer, over symbols in one row")
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
        self.active, self.entering = 0, False  # rows that advance; whether the next one is being filled
        self.waiting: deque[Continuation] = deque()

    def compile(self) -> bool:
        """Makes a text that is drawn alone faster, guesses, and as many as there are rows: see Incremental.compile."""
        forms = dict.fromkeys([(1, 1), (1, AHEAD + 1), (len(self.rows), 1)])
        return self.network.compile(self.sites + len(self.opening), list(forms))

    def compile_meanwhile(self) -> None:
        """The same in a thread of its own, while this one goes on drawing."""

        def compile_all() -> None:
            try:
                self.compile()
            except Exception as error:  # a C++ compiler fails in many ways; drawing goes on without
                logging.getLogger("septet").info("steps are not compiled: %s", str(error).split("\n")[0])

        threading.Thread(target=compile_all, name="compiling", daemon=True).start()

    def admit(self, request: Continuation) -> None:
        """Take a request; its turn comes when a row is free."""
        if request.length < 1 or len(request.given) + request.length > self.sites:
            raise Refusal(
                f"{len(request.given):,} symbols given and {request.length:,} to come: at least 1, and {self.sites:,} "
                "in all; ask for fewer, or give less"
            )
        request.given = self.process.opened(request.given)
        self.waiting.append(request)

    def drop(self, request: Continuation) -> None:
        """Forget a request between two steps; what it has drawn stays in it."""
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
        """One symbol more, or several that were guessed, for every request in a row; and a chunk of one that enters."""
        told = self._advance() if self.active else []
        if not self.entering and self.waiting and self.active < len(self.rows):
            self._enter(self.waiting.popleft())
        return told + (self._read_on() if self.entering else [])

    def _whole(self, request: Continuation) -> list[int]:
        return self.opening + request.given.tolist()

    def _enter(self, request: Continuation) -> None:
        """Give a request the free row whose left-over shares the longest beginning with it."""
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
        """All active rows by one symbol; one alone, by as many as are guessed rightly."""
        guessed: list[int] = []
        first = self.rows[0].request
        if self.active == 1 and first is not None and first.guesses:
            most = min(AHEAD, first.guesses, first.length - len(first.drawn) - 1)
            guessed = guess(first.given.tolist() + first.drawn, most)
        if guessed and self._fits(1, AHEAD + 1):  # a compiled step takes so many; what is amiss is found out
            guessed += [0] * (AHEAD - len(guessed))
        fed = [[self._last(row)] for row in self.rows[: self.active]]
        fed[0] += guessed
        all_rows = self.active < len(self.rows) < 2 * self.active and self._fits(len(self.rows), 1)
        # Then all rows together are faster, and the idle ones get a symbol that nobody has read.
        idle = [[0]] * (len(self.rows) - self.active) if all_rows else []
        scores = self._run([*fed, *idle], 0, self.active + len(idle), last=not guessed)
        told = []
        for row, symbols in zip(self.rows[: self.active], fed, strict=True):
            row.read += symbols
        for place in reversed(range(self.active)):  # from the last: rows that end change places with it
            told += self._took(place, scores[place], guessed if place == 0 else [])
        return told

    def _fits(self, rows: int, symbols: int) -> bool:
        """Whether a compiled step of this form can be taken from where the rows are."""
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
        """Choose from each of the scores, as long as what was guessed for the next ones is what was chosen."""
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
        """Take a row out; it keeps what it has read, after those that are active."""
        self.rows[place].request = None
        if place == self.active:  # it was entering
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
    """All requests to their end: (request, its new symbols) as they come."""
    for request in requests:
        decoding.admit(request)
    while decoding.busy:
        yield from decoding.step()


def guess(symbols: list[int], most: int) -> list[int]:
    """What followed the last time that the end of `symbols` stood before: up to `most` symbols, none where it never
    did (prompt look-up, Saxena 2023)."""
    for size in range(LONGEST_MATCH, SHORTEST_MATCH - 1, -1):
        tail = symbols[-size:]
        for begin in range(len(symbols) - size - 1, -1, -1) if len(symbols) > size and most > 0 else ():
            if symbols[begin : begin + size] == tail:
                return symbols[begin + size : begin + size + most]
    return []


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many symbols two rows begin with alike."""
    for n, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return n
    return min(len(one), len(other))
