"""The handle through which a job's work function reports results and reads orders."""

import io
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from samar.errors import of_the_disk
from samar.jobs.job import Job, job_dir
from samar.jobs.outbox import FLUSH_SECONDS, WATCHED_SECONDS, JobLost, Outbox, log
from samar.jobs.records import STOP, WHY, Artifact, Order
from samar.jobs.store import Store
from samar.jobs.training_records import EpochRecord, StepRecord

MARK_SECONDS = 0.5
"""From one look whether somebody watches to the next."""


class Stopped(Exception):
    """The job was told to stop."""


class Diverged(Exception):
    """A training run's loss stopped being finite; the text says where."""


class Work(Outbox):
    """One claimed job as its work function sees it.

    Args:
        patience: seconds for which it waits for room on the disk, or for the store.

    Attributes:
        stopping: whether it was told to stop.
        why: the sentence that the stopped job is to bear.
        afterwards: what is still to be done when the job has ended and the next one has begun.
    """

    def __init__(self, store: Store, job: Job, patience: float | None = None) -> None:
        super().__init__(store, job, patience)
        self.stopping = False
        self.why = ""
        self.afterwards: list[Callable[[], None]] = []
        self._artifacts: list[Artifact] | None = None
        self._unread: list[Order] = []
        self._news = threading.Event()
        self._read_until = 0
        self._marked = 0.0
        self._missed = 0

    def __enter__(self) -> "Work":
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
        members = self.ask(self.store.members, self.job) or []
        self._keys = [self.job.key, *(member.key for member in members)]
        self.listen()
        super().__enter__()
        return self

    # What it leaves

    def progress(self, done: int, total: int | None = None, doing: str = "") -> None:
        """Say how far the work is, in its own units, and what it does now."""
        self.note(done=done, doing=doing, **({"total": total} if total else {}))

    def record(self, steps: Sequence[StepRecord] = (), epochs: Sequence[EpochRecord] = ()) -> None:
        """Record steps and epochs of a training run."""
        self.later(self.store.records.append, steps, epochs)

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
        self.later(self.store.records.add_artifact, kind, step, file, kept.summary)
        self.write_down()

    def remove(self, kept: Artifact) -> None:
        """Remove an artifact and its file."""
        self._forget(kept.kind, kept.step)
        self.later(self.store.records.remove_artifact, kept.kind, kept.step)
        (self.folder / kept.path).unlink(missing_ok=True)

    def _forget(self, kind: str, step: int) -> None:
        kept = self._all_kept()
        kept[:] = [each for each in kept if (each.kind, each.step) != (kind, step)]

    def _all_kept(self) -> list[Artifact]:
        if self._artifacts is None:
            self._artifacts = self.surely(self.store.records.artifacts, self.job.key)
        return self._artifacts

    def miss(self, what: str, error: OSError) -> None:
        """Go on without a file that could not be written, and say so."""
        self._missed += 1
        reason = of_the_disk(OSError(error.errno, error.strerror)).partition(";")[0]
        files = "file was" if self._missed == 1 else "files were"
        told = f"{self._missed} {files} not kept, {what} the last: {reason}."
        self.emit("missed", file=what, reason=reason)
        self.summarize(missed=told)
        log(told)

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

    def listen(self) -> None:
        """Read new orders to the job and its members, and whether somebody watches."""
        orders: list[Order] = self.ask(self.store.orders.after, self._read_until, *self._keys) or []
        if orders:
            for order in orders:
                if order.command == STOP and order.job == self.job.key:
                    self.why = order.detail.get(WHY) or self.why
                    self.stopping = True
            with self._lock:
                self._unread += [order for order in orders if order.key > self._read_until]
                self._read_until = max(self._read_until, orders[-1].key)
            self._news.set()
        if (now := time.monotonic()) - self._marked > MARK_SECONDS:
            self._marked = now
            watched = self.ask(self.store.is_watched, self.job)
            self.interval = WATCHED_SECONDS if watched else FLUSH_SECONDS

    @property
    def ordered(self) -> bool:
        """Whether there are orders that nobody took; costs nothing to ask."""
        return bool(self._unread)

    def orders(self) -> list[Order]:
        """Take the orders since the last call, in the order in which they were given."""
        with self._lock:
            orders, self._unread = self._unread, []
        self._news.clear()
        return orders

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the next order."""
        self._news.wait(seconds)

    def check(self) -> None:
        """Call between two pieces of work.

        Raises:
            Stopped: the job was told to stop.
            JobLost: it is no longer this worker's.
        """
        if self.lost:
            raise JobLost
        if self.stopping:
            raise Stopped

    # Life

    def terminate(self) -> None:
        """End after the current piece of work, and wait for nothing."""
        self.stopping = self.terminated = True

    def end(self, status: str, message: str = "") -> None:
        """Write what is left and the last status, as soon as the store takes it."""

        def write() -> None:
            with self.store.database.write():
                if self.store.move(self.job, status, message):
                    step = self.store.get(self.job.id).done
                    self.store.records.note(self.job.key, step, status)

        self.deliver(write)
