"""One thread that generates for all clients: the texts of all requests to a model are decoded in one batch, other work
is done in small steps in between, and cancelled requests are dropped between two steps."""

import logging
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from collections.abc import Generator as Steps
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..codecs.symbols import Symbols
from ..generator import Generator
from ..processes.autoregressive import Autoregressive
from ..processes.continuations import Continuation
from ..processes.decoding import Decoding
from ..space import Refusal
from ..text_inference.constraints import Vocabulary
from ..text_inference.conversation import decoding_of

ROWS = 8  # texts of a model that are decoded together
WAITING = 24  # further requests that may wait
MODELS = 3  # most that stay in memory
END = object()  # the last object that a listener receives


class Busy(Refusal):
    """All places are taken."""


class Closing(Refusal):
    """The server is shutting down and accepts no new work."""


def codec_of(model: Generator) -> Symbols:
    if not isinstance(model.codec, Symbols):
        raise Refusal(f"{model.name} is not a text model; name another")
    return model.codec


@dataclass
class Loaded:
    """A model in memory. What decoding needs is created at first use."""

    model: Any  # a Generator or, for embeddings only, a sentence encoder
    users: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    _decoding: Decoding | None = None
    _vocabulary: Vocabulary | None = None

    @property
    def decoding(self) -> Decoding:
        with self.lock:
            if self._decoding is None:
                if not isinstance(self.model.process, Autoregressive) or not self.model.begins:
                    raise Refusal(f"{self.model.name} is not a language model: it cannot continue a text; name another")
                self._decoding = decoding_of(self.model, rows=ROWS, long=True)
            return self._decoding

    @property
    def vocabulary(self) -> Vocabulary:
        with self.lock:
            if self._vocabulary is None:
                self._vocabulary = Vocabulary(codec_of(self.model))
            return self._vocabulary


@dataclass(eq=False)
class Job:
    """A text to generate, or other work in steps; `heard` is called with the result of each step, and at last with END
    or an exception."""

    loaded: Loaded
    work: Continuation | Steps
    heard: Callable[[Any], None]


class Engine:
    """`load` loads a model, or a sentence encoder for embeddings, by its reference. Work begins after `start`."""

    def __init__(self, load: Callable[[str], Any], places: int = ROWS + WAITING):
        self.load, self.places, self.taken, self.closing = load, places, 0, False
        self.loaded: dict[str, Loaded] = {}  # least recently used first
        self.counting, self.loading = threading.Lock(), defaultdict(threading.Lock)  # one lock per model
        self.asked: queue.SimpleQueue[tuple[str, Job | None]] = queue.SimpleQueue()
        self.texts: dict[Continuation, Job] = {}
        self.others: list[Job] = []
        self.thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self.thread.start()

    @contextmanager
    def place(self, count: int = 1) -> Iterator[None]:
        """Reserves places for `count` outputs; raises Busy if too few are free, Closing at shutdown."""
        if count > self.places:
            raise Refusal(f"{count} texts or pictures: at most {self.places} at a time; request fewer")
        with self.counting:
            if self.closing:
                raise Closing("the server is shutting down; retry when it is back")
            if self.taken + count > self.places:
                raise Busy(f"all {self.places} places are taken; retry in a moment")
            self.taken += count
        try:
            yield
        finally:
            with self.counting:
                self.taken -= count

    @contextmanager
    def using(self, reference: str) -> Iterator[Loaded]:
        """The model, which is loaded if necessary and stays in memory while it is used."""
        found = self._used(reference)
        if found is None:
            with self.counting:
                loading = self.loading[reference]
            with loading:  # those that waited find it loaded
                found = self._used(reference) or self._used(reference, Loaded(self.load(reference)))
        assert found is not None
        try:
            yield found
        finally:
            with self.counting:
                found.users -= 1

    def _used(self, reference: str, fresh: Loaded | None = None) -> Loaded | None:
        """Counts one more use of a loaded model, or of `fresh`; unused models beyond `MODELS` are unloaded."""
        with self.counting:
            found = self.loaded.pop(reference, fresh)
            if found is not None:
                found.users += 1
                self.loaded[reference] = found
            idle = [name for name, other in self.loaded.items() if not other.users]
            for name in idle[: max(0, len(self.loaded) - MODELS)]:
                del self.loaded[name]
            return found

    def submit(self, job: Job) -> None:
        self.asked.put(("begin", job))

    def cancel(self, job: Job) -> None:
        """Stops a job between two steps; its listener receives nothing more. Has no effect on a finished job."""
        self.asked.put(("drop", job))

    def close(self) -> None:
        """Accepts no more work; current work continues. Called by signal handlers, so it takes no lock."""
        self.closing = True

    def stop(self) -> None:
        self.close()
        self.asked.put(("stop", None))

    def _run(self) -> None:
        while True:
            while True:
                try:
                    asked, job = self.asked.get(block=not self.texts and not self.others)
                except queue.Empty:
                    break
                if job is None:
                    return
                self._begin(job) if asked == "begin" else self._drop(job)
            self._turn()

    def _begin(self, job: Job) -> None:
        if not isinstance(job.work, Continuation):
            self.others.append(job)
            return
        try:
            job.loaded.decoding.admit(job.work)
        except Exception as error:
            job.heard(error)
            return
        self.texts[job.work] = job

    def _drop(self, job: Job) -> None:
        if isinstance(job.work, Continuation):
            if self.texts.pop(job.work, None) is not None:
                job.loaded.decoding.drop(job.work)
        elif job in self.others:
            self.others.remove(job)
            job.work.close()

    def _turn(self) -> None:
        """One decoding step for the texts of each model, and one step of each other job."""
        for loaded in {id(job.loaded): job.loaded for job in self.texts.values()}.values():
            try:
                told = loaded.decoding.step()
            except Exception as error:
                logging.getLogger("septet").exception("generation failed")
                for job in [job for job in self.texts.values() if job.loaded is loaded]:
                    self._drop(job)
                    job.heard(error)
                continue
            for request, new in told:
                job = self.texts[request]
                job.heard(new)
                if request.done:
                    del self.texts[request]
                    job.heard(END)
        for job in list(self.others):
            assert not isinstance(job.work, Continuation)
            try:
                made = next(job.work, END)
            except Exception as error:
                made = error
            if made is END or isinstance(made, Exception):
                self.others.remove(job)
            job.heard(made)
