"""What a job's work function is given: where to put what it finds, and what it is told to do.

Events and progress are gathered and written about twice a second by a thread, in one transaction
with the sign of life; a store that cannot be written for a moment delays them and loses nothing.
"""

import io
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from samar.jobs.files import job_dir
from samar.jobs.job import Job
from samar.jobs.orders import STOP, Order
from samar.jobs.records import Artifact, Event
from samar.jobs.store import Store
from samar.settings.command import json_line

FLUSH_SECONDS = 0.4
BEAT_SECONDS = 3.0
ORDERS_SECONDS = 0.1
STUBBORN_SECONDS = 60.0
"""How long an ending worker goes on trying to write to a store that it cannot write to."""


class Stopped(Exception):
    """The job was told to stop."""


class JobLost(Exception):
    """Another worker has the job, or nobody."""


class Diverged(Exception):
    """A training run's loss stopped being finite; the text says where."""


class Work:
    """One claimed job as its work function sees it."""

    def __init__(self, store: Store, job: Job) -> None:
        self.store, self.job = store, job
        self.stopping = False
        self.lost = False
        self._events: list[Event] = []
        self._facts: dict[str, Any] = {}
        self._summary: dict[str, Any] = dict(job.summary)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._read_until = 0
        self._looked = self._beaten = 0.0
        self._thread = threading.Thread(target=self._keep_beating, daemon=True)

    # What it leaves

    def emit(self, kind: str, step: int = 0, **detail: Any) -> None:
        """Record an event; it reaches the store within half a second."""
        with self._lock:
            self._events.append(Event(step, kind, detail, time.time()))

    def progress(self, done: int, total: int | None = None, doing: str = "") -> None:
        """Say how far the work is, in its own units, and what it does now."""
        with self._lock:
            self._facts |= {"done": done, "doing": doing} | ({"total": total} if total else {})

    def note(self, **facts: Any) -> None:
        """Write columns of the job's own row, such as ``device`` or ``summary``."""
        with self._lock:
            self._facts |= facts

    def summarize(self, **numbers: Any) -> None:
        """Put the result, in a few plain numbers, on the job's own row."""
        self._summary |= numbers
        self.note(summary=json_line(self._summary))

    @property
    def summary(self) -> dict[str, Any]:
        """The result so far."""
        return self._summary

    def keep(
        self,
        kind: str,
        content: bytes | Callable[[Path], Any],
        file: str,
        *,
        step: int = 0,
        summary: Mapping[str, Any] | None = None,
    ) -> Path:
        """Keep an artifact: written beside its place, renamed, then noted in the store.

        Args:
            content: bytes, or a function that writes the file whose path it is given.
            file: its name within the job's folder.
            summary: a few plain numbers about it.
        """
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            if isinstance(content, bytes):
                part.write_bytes(content)
            else:
                content(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        self.store.records.add_artifact(self.job.key, kind, step, file, summary)
        return path

    def keep_saved(self, kind: str, thing: Any, file: str, **words: Any) -> Path:
        """Keep what has a ``save`` method that writes to a binary file."""
        content = io.BytesIO()
        thing.save(content)
        return self.keep(kind, content.getvalue(), file, **words)

    def kept(self, kind: str) -> list[Artifact]:
        """The artifacts of a kind that this job, or an earlier process of it, kept."""
        return self.store.records.artifacts(self.job.key, kind)

    @property
    def folder(self) -> Path:
        """Where the job's files are."""
        return job_dir(self.job.id)

    # What it is told

    def orders(self, *others: Job) -> list[Order]:
        """Orders since the last call to it and to others, looked up at most ten times a second.

        Args:
            others: jobs whose work it does too; all orders come in the order they were given.
        """
        now = time.monotonic()
        if now - self._looked < ORDERS_SECONDS:
            return []
        self._looked = now
        keys = [job.key for job in (self.job, *others)]
        found = self.store.orders.after(self._read_until, *keys)
        if found:
            self._read_until = found[-1].key
        stops = (order.job for order in found if order.command == STOP)
        self.stopping = self.stopping or self.job.key in stops
        return found

    def check(self) -> None:
        """Call between two pieces of work.

        Raises:
            Stopped: the job was told to stop.
            JobLost: it is no longer this worker's.
        """
        self.orders()
        if self.lost:
            raise JobLost
        if self.stopping:
            raise Stopped

    # Life

    def __enter__(self) -> "Work":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def flush(self) -> None:
        """Write what was gathered, with a sign of life.

        Raises:
            OperationalError: the store cannot be written now; nothing is lost.
        """
        with self._lock:
            events, facts = self._events, self._facts
            self._events, self._facts = [], {}
        try:
            self.lost = not self.store.beat(self.job, events, **facts)
            self._beaten = time.monotonic()
        except OperationalError:
            with self._lock:
                self._events, self._facts = events + self._events, facts | self._facts
            raise

    def end(self, status: str, message: str = "") -> None:
        """Write what is left and the last status, however long the store is busy."""
        give_up = time.monotonic() + STUBBORN_SECONDS
        while True:
            try:
                self.flush()
                if self.store.move(self.job, status, message):
                    step = self.store.get(self.job.id).done
                    self.store.records.note(self.job.key, step, status)
                return
            except OperationalError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(1)

    def _keep_beating(self) -> None:
        while not self._over.wait(FLUSH_SECONDS):
            waits = time.monotonic() - self._beaten < BEAT_SECONDS
            if waits and not self._events and not self._facts:
                continue
            try:
                self.flush()
            except OperationalError:
                continue
