"""What a job's work function is given: where to put what it finds, and what it is told to do.

Whatever goes to the store is gathered, and written in order, in one transaction with the sign of
life: at once where the work asks for it, else about twice a second by a thread. While the store is
away the work goes on, and what it finds waits here.
"""

import io
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from samar.errors import NO_ROOM, SamarError, of_the_disk
from samar.jobs.job import Job, job_dir
from samar.jobs.records import STOP, WHY, Artifact, Event, Order
from samar.jobs.store import Store
from samar.jobs.training_records import EpochRecord, StepRecord
from samar.settings.command import json_line

FLUSH_SECONDS = 0.4
BEAT_SECONDS = 3.0
ORDERS_SECONDS = 0.1
PATIENCE_SECONDS = 300.0
"""How long a worker waits for room on the disk, or for a store that it cannot write to."""
RETRY_SECONDS = 1.0
RETRY_SHARE = 0.1
"""Of its time a worker spends at most so much on trying to reach a store that is away."""
AWAY_SECONDS = 5.0
"""A store that was away for longer is worth a sentence."""


class Stopped(Exception):
    """The job was told to stop."""


class JobLost(Exception):
    """Another worker has the job, or nobody."""


class NoRoom(SamarError):
    """What must be kept cannot be written, and waiting did not help."""


class Diverged(Exception):
    """A training run's loss stopped being finite; the text says where."""


class Work:
    """One claimed job as its work function sees it.

    Args:
        patience: seconds for which it waits for room on the disk, or for the store.
    """

    def __init__(self, store: Store, job: Job, patience: float | None = None) -> None:
        self.store, self.job = store, job
        self._patience = PATIENCE_SECONDS if patience is None else patience
        self.stopping = self.terminated = False
        self.why = ""
        self.lost = False
        self._events: list[Event] = []
        self._facts: dict[str, Any] = {}
        self._writes: list[Callable[[], None]] = []
        self._artifacts: list[Artifact] | None = None
        self._summary: dict[str, Any] = dict(job.summary)
        self._lock, self._writing = threading.Lock(), threading.RLock()
        self._over = threading.Event()
        self._read_until = 0
        self._looked = self._beaten = 0.0
        self._thread = threading.Thread(target=self._keep_beating, daemon=True)
        self._missed = 0
        self._hindrance = ""
        self._hindered = self._try_again = 0.0
        self._broken: SamarError | None = None

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

    def record(self, steps: Sequence[StepRecord] = (), epochs: Sequence[EpochRecord] = ()) -> None:
        """Record steps and epochs of a training run."""
        self._later(self.store.records.append, steps, epochs)

    def rewind(self, step: int) -> None:
        """Forget what was recorded beyond a step, before it is computed again."""
        self.surely(self.store.records.rewind, self.job.key, step)
        self._artifacts = None

    def keep(
        self,
        kind: str,
        content: bytes | Callable[[Path], Any],
        file: str,
        *,
        step: int = 0,
        summary: Mapping[str, Any] | None = None,
        needed: bool = True,
    ) -> None:
        """Keep an artifact: written beside its place, renamed, then noted in the store.

        Args:
            content: bytes, or a function that writes the file whose path it is given.
            file: its name within the job's folder.
            summary: a few plain numbers about it.
            needed: whether the job is worth nothing without it; else a disk without room leaves it
                out, and the job says so.
        """
        path = self.folder / file
        part = path.with_name(f".{path.name}.part")

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                if isinstance(content, bytes):
                    part.write_bytes(content)
                else:
                    content(part)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)

        if needed:
            self.surely(write)
        else:
            try:
                write()
            except OSError as error:
                self.miss(file, error)
                return
        self._forget(kind, step)
        kept = Artifact(kind, step, file, time.time(), dict(summary or {}))
        self._all_kept().append(kept)
        self._later(self.store.records.add_artifact, kind, step, file, kept.summary)
        self.write_down()

    def remove(self, kept: Artifact) -> None:
        """Remove an artifact and its file."""
        self._forget(kept.kind, kept.step)
        self._later(self.store.records.remove_artifact, kept.kind, kept.step)
        (self.folder / kept.path).unlink(missing_ok=True)

    def _forget(self, kind: str, step: int) -> None:
        kept = self._all_kept()
        kept[:] = [each for each in kept if (each.kind, each.step) != (kind, step)]

    def _all_kept(self) -> list[Artifact]:
        if self._artifacts is None:
            self._artifacts = self.surely(self.store.records.artifacts, self.job.key)
        return self._artifacts

    def _later(self, write: Callable[..., None], *arguments: Any) -> None:
        """Let something of this job be written with the next sign of life."""
        with self._lock:
            self._writes.append(partial(write, self.job.key, *arguments))

    def miss(self, what: str, error: OSError) -> None:
        """Go on without a file that could not be written, and say so."""
        self._missed += 1
        reason = of_the_disk(OSError(error.errno, error.strerror)).partition(";")[0]
        files = "file was" if self._missed == 1 else "files were"
        told = f"{self._missed} {files} not kept, {what} the last: {reason}."
        self.emit("missed", file=what, reason=reason)
        self.summarize(missed=told)
        _log(told)

    def surely(self, write: Callable[..., Any], *arguments: Any, **words: Any) -> Any:
        """Write what must be kept, again and again while there is no room for it.

        Raises:
            NoRoom: there was none for as long as it has patience, or the worker was told to end.
        """
        give_up = time.monotonic() + self._patience
        while True:
            try:
                found = write(*arguments, **words)
            except (OperationalError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in NO_ROOM:
                    raise
                reason = of_the_disk(error) if isinstance(error, OSError) else _of_store(error)
                self._leave_reason(reason)
                if time.monotonic() >= give_up or self.terminated:
                    raise NoRoom(reason) from None
                time.sleep(RETRY_SECONDS)
                continue
            self._leave_reason("")
            return found

    def _leave_reason(self, reason: str) -> None:
        """Say why it waits where the store cannot say so."""
        if reason == self._hindrance:
            return
        self._hindrance = reason
        if reason:
            _log(reason)

    def keep_saved(self, kind: str, thing: Any, file: str, **words: Any) -> None:
        """Keep what has a ``save`` method that writes to a binary file."""
        content = io.BytesIO()
        thing.save(content)
        self.keep(kind, content.getvalue(), file, **words)

    def kept(self, kind: str) -> list[Artifact]:
        """The artifacts of a kind that the job kept, in an earlier process too; oldest first."""
        return [each for each in self._all_kept() if each.kind == kind]

    @property
    def folder(self) -> Path:
        """Where the job's files are."""
        return job_dir(self.job.id)

    # What it is told

    def orders(self, *others: Job) -> list[Order]:
        """Orders since the last call to it and to others, looked up at most ten times a second.

        None come while the store is away.

        Args:
            others: jobs whose work it does too; all orders come in the order they were given.
        """
        now = time.monotonic()
        if now - self._looked < ORDERS_SECONDS or now < self._try_again:
            return []
        self._looked = now
        keys = [job.key for job in (self.job, *others)]
        try:
            found = self.store.orders.after(self._read_until, *keys)
        except OperationalError as error:
            self._away(error, now)
            return []
        if found:
            self._read_until = found[-1].key
        stops = (order.job for order in found if order.command == STOP)
        self.stopping = self.stopping or self.job.key in stops
        whys = (o.detail.get(WHY) for o in found if o.command == STOP and o.job == self.job.key)
        self.why = next(filter(None, whys), self.why)
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

    def terminate(self) -> None:
        """End after the current piece of work, and wait for nothing."""
        self.stopping = self.terminated = True

    def __enter__(self) -> "Work":
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def flush(self) -> None:
        """Write what was gathered, with a sign of life; a worker that lost its job writes nothing.

        Raises:
            OperationalError: the store cannot be written now; nothing is lost.
            SamarError: the store is damaged, or cannot hold what was found.
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
                self._away(error, began)
                raise
            self._beaten = time.monotonic()
            self._there()

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

    def _away(self, error: OperationalError, began: float) -> None:
        """The store could not be reached; not to slow the work down, it is left alone for a bit."""
        now = time.monotonic()
        self._hindered = self._hindered or now
        self._try_again = now + (now - began) / RETRY_SHARE
        self._leave_reason(_of_store(error))

    def _there(self) -> None:
        """The store is there; if it was away for long, say so."""
        self._try_again = 0.0
        if not self._hindered:
            return
        away, self._hindered = time.monotonic() - self._hindered, 0.0
        self._leave_reason("")
        if away > AWAY_SECONDS:
            told = f"The store was away for {away:.0f} s; what was found meanwhile came later."
            self.emit("away", seconds=round(away, 1))
            self.summarize(away=told)
            _log(told)

    def end(self, status: str, message: str = "") -> None:
        """Write what is left and the last status, as soon as the store takes it."""

        def write() -> None:
            self.flush()
            if self._gathered:  # that the store had been away
                self.flush()
            with self.store.database.write():
                if self.store.move(self.job, status, message):
                    step = self.store.get(self.job.id).done
                    self.store.records.note(self.job.key, step, status)

        self.surely(write)

    @property
    def _gathered(self) -> bool:
        return bool(self._events or self._facts or self._writes)

    def _keep_beating(self) -> None:
        while not self._over.wait(FLUSH_SECONDS):
            waits = time.monotonic() - self._beaten < BEAT_SECONDS
            if waits and not self._gathered:
                continue
            try:
                self.write_down()
            except JobLost:
                continue
            except SamarError as error:
                self._broken = error  # for the work to stumble on
                return


def _of_store(error: OperationalError) -> str:
    """What the store did not do, as a sentence."""
    if isinstance(error, SamarError):
        return str(error)
    return f"The store cannot be written ({error.orig}); make room if the disk is full."


def _log(text: str) -> None:
    """Print where the worker's log is, which may have no room either."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
