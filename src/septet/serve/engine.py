"""One thread that draws for everybody: the texts of all requests to a model advance together, other work is done in
small steps between, and what nobody waits for any more is dropped between two steps."""

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
from ..language.constraints import Vocabulary
from ..language.conversation import decoding_of
from ..processes.autoregressive import Autoregressive
from ..processes.continuations import Continuation
from ..processes.decoding import Decoding
from ..space import Refusal

ROWS = 8  # texts of a model that advance together
WAITING = 24  # requests more that may wait
MODELS = 3  # that stay in memory
END = object()  # what a listener hears last


class Busy(Refusal):
    """No place is free: come back later."""


class Closing(Refusal):
    """No new work is taken: what is under way is being finished."""


def codec_of(model: Generator) -> Symbols:
    if not isinstance(model.codec, Symbols):
        raise Refusal(f"{model.name} does not read text")
    return model.codec


@dataclass
class Loaded:
    """A model in memory; what a text model needs besides is made when it is first asked for."""

    model: Any  # a Generator or, for embeddings alone, a sentence encoder
    users: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    _decoding: Decoding | None = None
    _vocabulary: Vocabulary | None = None

    @property
    def decoding(self) -> Decoding:
        with self.lock:
            if self._decoding is None:
                if not isinstance(self.model.process, Autoregressive) or not self.model.begins:
                    raise Refusal(f"{self.model.name} is no language model: it goes on from no text")
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
    """A text to be drawn, or work in steps; `heard` is told what each step made, at last END or an exception."""

    loaded: Loaded
    work: Continuation | Steps
    heard: Callable[[Any], None]


class Engine:
    """`load` gives a model by its reference, or a sentence encoder, for embeddings. Nothing is worked on before
    `start`."""

    def __init__(self, load: Callable[[str], Any], places: int = ROWS + WAITING):
        self.load, self.places, self.taken, self.closing = load, places, 0, False
        self.loaded: dict[str, Loaded] = {}  # the one used last comes last
        self.counting, self.loading = threading.Lock(), defaultdict(threading.Lock)  # of each model one at a time
        self.asked: queue.SimpleQueue[tuple[str, Job | None]] = queue.SimpleQueue()
        self.texts: dict[Continuation, Job] = {}
        self.others: list[Job] = []
        self.thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self.thread.start()

    @contextmanager
    def place(self, count: int = 1) -> Iterator[None]:
        """Holds places for so many outputs, before anything is done for them."""
        if count > self.places:
            raise Refusal(f"{count} texts or pictures: at most {self.places} at a time; ask for fewer")
        with self.counting:
            if self.closing:
                raise Closing("the server is closing down; ask again when it is back")
            if self.taken + count > self.places:
                raise Busy(f"all {self.places} places are taken; ask again in a moment")
            self.taken += count
        try:
            yield
        finally:
            with self.counting:
                self.taken -= count

    @contextmanager
    def using(self, reference: str) -> Iterator[Loaded]:
        """The model, loaded if it is not there; it stays while it is used."""
        found = self._used(reference)
        if found is None:
            with self.counting:
                loading = self.loading[reference]
            with loading:  # who waited finds it
                found = self._used(reference) or self._used(reference, Loaded(self.load(reference)))
        assert found is not None
        try:
            yield found
        finally:
            with self.counting:
                found.users -= 1

    def _used(self, reference: str, fresh: Loaded | None = None) -> Loaded | None:
        """One use more of what is loaded, or of what is `fresh`; beyond `MODELS`, those that nobody uses go."""
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
        """Stop a job between two steps; its listener hears nothing more. One that has ended is left alone."""
        self.asked.put(("drop", job))

    def close(self) -> None:
        """Take no more work; what is under way goes on. Signal handlers call it, so it waits for no lock."""
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
        """A step of every model's texts, and one of each other job."""
        for loaded in {id(job.loaded): job.loaded for job in self.texts.values()}.values():
            try:
                told = loaded.decoding.step()
            except Exception as error:
                logging.getLogger("septet").exception("drawing failed")
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
