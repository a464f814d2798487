"""What a worker has for the store, gathered and written in order, also while the store is away.

All of it is written in one transaction with the sign of life: at once where the work asks for it,
else about twice a second by a thread, or twenty times while somebody watches. While the store is
away the work goes on, and what it gathered waits here; the store is tried again, and catches up
when it is there.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy.exc import OperationalError

from samar.errors import NO_ROOM, SamarError, of_the_disk
from samar.jobs.job import Job
from samar.jobs.records import Event
from samar.jobs.store import Store
from samar.settings.command import json_line

FLUSH_SECONDS, WATCHED_SECONDS = 0.4, 0.05
"""From one write to the next, and while somebody watches."""
LISTEN_SECONDS = 0.025
"""From one look for orders to the next."""
BEAT_SECONDS = 3.0
PATIENCE_SECONDS = 300.0
"""How long a worker waits for room on the disk, or for a store that it cannot write to."""
RETRY_SECONDS = 1.0
RETRY_SHARE = 0.1
"""The largest share of its time that a worker spends on trying to reach a store that is away."""
AWAY_SECONDS = 5.0
"""A store that was away for longer is worth a sentence."""


class JobLost(Exception):
    """Another worker has the job, or nobody."""


class NoRoom(SamarError):
    """What must be kept cannot be written, and waiting did not help."""


class Outbox:
    """Events, facts and records of one claimed job on their way to the store.

    Attributes:
        lost: whether the job is no longer this worker's; then nothing is written.
        interval: seconds from one write to the next.
        beside: further ones that are written by the same thread.
        terminated: whether the worker was told to end and to wait for nothing.
    """

    def __init__(self, store: Store, job: Job, patience: float | None = None) -> None:
        self.store, self.job = store, job
        self.lost = self.terminated = False
        self.interval = FLUSH_SECONDS
        self.beside: list[Outbox] = []
        self.summary: dict[str, Any] = dict(job.summary)
        self._patience = PATIENCE_SECONDS if patience is None else patience
        self._events: list[Event] = []
        self._facts: dict[str, Any] = {}
        self._writes: list[Callable[[], None]] = []
        self._lock, self._writing = threading.Lock(), threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, daemon=True)
        self._beaten = self._away_since = self._try_again = 0.0
        self._hindrance = ""
        self._broken: SamarError | None = None

    def __enter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def emit(self, kind: str, step: int = 0, **detail: Any) -> None:
        """Record an event; it reaches the store within half a second."""
        with self._lock:
            self._events.append(Event(step, kind, detail, time.time()))

    def note(self, **facts: Any) -> None:
        """Write columns of the job's own row, such as ``device`` or ``summary``."""
        with self._lock:
            self._facts |= facts

    def summarize(self, **numbers: Any) -> None:
        """Put the result, in a few plain numbers, on the job's own row."""
        self.summary |= numbers
        self.note(summary=json_line(self.summary))

    def later(self, write: Callable[..., None], *arguments: Any) -> None:
        """Let a function of the job's key write to the store with the next sign of life."""
        with self._lock:
            self._writes.append(partial(write, self.job.key, *arguments))

    def flush(self) -> None:
        """Write what was gathered, with a sign of life; a worker that lost its job writes nothing.

        Raises:
            OperationalError: the store cannot be written now; nothing is lost.
            SamarError: the store cannot hold what was found.
        """
        began = time.monotonic()
        with self._writing:
            if self._broken is not None:
                broken, self._broken = self._broken, None
                raise broken
            with self._lock:
                events, facts, writes = self._events, self._facts, self._writes
                self._events, self._facts, self._writes = [], {}, []
            try:
                with self.store.database.write():
                    self.lost = not self.store.beat(self.job, events, **facts)
                    for write in () if self.lost else writes:
                        write()
            except OperationalError as error:
                with self._lock:
                    self._events, self._facts = events + self._events, facts | self._facts
                    self._writes = writes + self._writes
                self._is_away(error, began)
                raise
            self._beaten = time.monotonic()
            self._is_there()

    def write_down(self) -> bool:
        """Write what was gathered, if the store takes it now; else it is tried again.

        Returns:
            Whether all is written.

        Raises:
            JobLost: the job is no longer this worker's.
            SamarError: as :meth:`flush`.
        """
        if time.monotonic() < self._try_again:
            return False
        with suppress(OperationalError):
            self.flush()
            if self.lost:
                raise JobLost
            return True
        return False

    def ask(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """The store's answer; None while it is away."""
        now = time.monotonic()
        if now < self._try_again:
            return None
        try:
            return read(*arguments)
        except OperationalError as error:
            self._is_away(error, now)
            return None

    def surely(self, write: Callable[..., Any], *arguments: Any, **words: Any) -> Any:
        """Write what must be kept, again and again while there is no room for it.

        Raises:
            NoRoom: there was none for as long as it has patience, or the worker was told to end.
        """
        give_up = time.monotonic() + self._patience
        while True:
            try:
                answer = write(*arguments, **words)
            except (OperationalError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in NO_ROOM:
                    raise
                reason = of_the_disk(error) if isinstance(error, OSError) else _of_store(error)
                self._say(reason)
                if time.monotonic() >= give_up or self.terminated:
                    raise NoRoom(reason) from None
                time.sleep(RETRY_SECONDS)
                continue
            self._hindrance = ""
            return answer

    def deliver(self, write: Callable[[], None]) -> None:
        """Write what is left and one thing more, as soon as the store takes it."""

        def all_of_it() -> None:
            self.flush()
            if self._gathered:  # that the store had been away
                self.flush()
            write()

        self.surely(all_of_it)

    @property
    def _gathered(self) -> bool:
        return bool(self._events or self._facts or self._writes)

    def _is_away(self, error: OperationalError, began: float) -> None:
        """Leave the store alone for a bit, so that the work is not slowed down."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        self._try_again = now + (now - began) / RETRY_SHARE
        self._say(_of_store(error))

    def _is_there(self) -> None:
        """Note that the store can be reached; if it was away for long, say so."""
        self._try_again = 0.0
        if not self._away_since:
            return
        away, self._away_since = time.monotonic() - self._away_since, 0.0
        self._hindrance = ""
        if away > AWAY_SECONDS:
            sentence = f"The store was away for {away:.0f} s; what was found meanwhile came later."
            self.emit("away", seconds=round(away, 1))
            self.summarize(away=sentence)
            log(sentence)

    def _say(self, reason: str) -> None:
        """Print once why the work waits."""
        if reason != self._hindrance:
            self._hindrance = reason
            log(reason)

    def listen(self) -> None:
        """Read what the store has for the job; called in a thread, many times a second."""

    def _keep_beating(self) -> None:
        while not self._over.wait(LISTEN_SECONDS):
            try:
                self.listen()
            except SamarError as error:  # for the work itself to meet
                self._broken = error
            for outbox in (self, *self.beside):
                outbox._beat(self.interval)

    def _beat(self, interval: float) -> None:
        """Write what was gathered, if it is time; what fails for good waits for the work."""
        silent = time.monotonic() - self._beaten
        if self._broken or silent < (interval if self._gathered else BEAT_SECONDS):
            return
        try:
            self.write_down()
        except JobLost:
            self._beaten = time.monotonic()
        except SamarError as error:
            self._broken = error

    def write_late(self) -> None:
        """Write events that came after the job had ended."""
        with self._lock:
            events, self._events = self._events, []
        if events:
            self.store.records.note_all(self.job.key, events)


def _of_store(error: OperationalError) -> str:
    """What the store did not do, as a sentence."""
    if isinstance(error, SamarError):
        return str(error)
    return f"The store cannot be written ({error.orig}); make room if the disk is full."


def log(text: str) -> None:
    """Print where the worker's log is, which may have no room either."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
