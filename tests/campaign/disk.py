"""A disk that fails at every single write of a training run, once or from then on.

Every write is counted: statements that change the store, files, renames. Then the run is made
again and again, and each time another write fails as on a full disk: for a moment, after which the
run must end as if nothing had been, or for good, after which it must say why it ended and resume to
the same end once there is room.
"""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import safetensors
import safetensors.torch
import sqlalchemy as sa
import torch

from samar.errors import SamarError
from samar.jobs import work as work_module
from samar.jobs.engine.worker import run as do
from samar.jobs.files import read_reason
from samar.jobs.job import RESUMABLE, Job
from samar.jobs.service import Jobs
from samar.training.settings import TrainSettings
from tests.campaign.outcome import Outcome
from tests.sameness import difference

SETTINGS = TrainSettings(
    images_per_class=13,
    batch_size=32,
    device="cpu",
    epochs=2,
    checkpoint_seconds=0.0,
    snapshots=2,
)
SHORT = 4
"""Writes that fail in the short form."""


class Disk:
    """Counts writes, and fails at those that it is told to."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.last = 0

    def write(self, name: str) -> None:
        self.count += 1
        if self.first <= self.count <= self.last:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    def fail(self, first: int, last: int) -> None:
        self.count, self.first, self.last = 0, first, last


@contextlib.contextmanager
def failing(jobs: Jobs) -> Iterator[Disk]:
    """Whatever writes to the disk goes through a :class:`Disk`."""
    disk = Disk()

    def watched(plain: Callable[..., Any], name: str) -> Callable[..., Any]:
        def write(*arguments: Any, **words: Any) -> Any:
            disk.write(name)
            return plain(*arguments, **words)

        return write

    def rust(*arguments: Any, **words: Any) -> Any:
        try:
            disk.write("weights")
        except OSError as error:
            told = f"I/O error: {error.strerror} (os error {error.errno})"
            raise safetensors.SafetensorError(told) from None
        return save(*arguments, **words)

    def execute(_1: Any, _2: Any, statement: str, *_: Any) -> None:
        if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            try:
                disk.write("store")
            except OSError:
                reason = Exception("database or disk is full")
                raise sa.exc.OperationalError(statement, {}, reason) from None

    save = safetensors.torch.save_file
    engine = jobs.store.database.engine
    sa.event.listen(engine, "before_cursor_execute", execute)
    try:
        with (
            mock.patch.object(safetensors.torch, "save_file", rust),
            mock.patch.object(torch, "save", watched(torch.save, "state")),
            mock.patch.object(Path, "write_bytes", watched(Path.write_bytes, "artifact")),
            mock.patch.object(Path, "replace", watched(Path.replace, "rename")),
            mock.patch.object(tempfile, "mkstemp", watched(tempfile.mkstemp, "new file")),
        ):
            yield disk
    finally:
        sa.event.remove(engine, "before_cursor_execute", execute)


def campaign(short: bool) -> Outcome:
    """Fail at every write; in the short form at a few of them."""
    outcome = Outcome("disk")
    with (
        tempfile.TemporaryDirectory() as home,
        mock.patch.dict(os.environ, {"SAMAR_HOME": home}),
        mock.patch("samar.jobs.engine.local._start", do),
        mock.patch.object(work_module, "RETRY_SECONDS", 0.01),
        mock.patch.object(work_module, "PATIENCE_SECONDS", 0.1),
        contextlib.redirect_stderr(None),
    ):
        jobs = Jobs()
        with failing(jobs) as disk:
            jobs.submit(SETTINGS)
            count = disk.count
        expected = jobs.store.all("train")[0]
        writes = list(range(1, count + 1))
        if short:
            writes = writes[:: max(1, len(writes) // SHORT)]
        for number in writes:
            for last in (number, 10**9):
                outcome.tried += 1
                fault = _attacked(jobs, number, last, expected)
                if fault:
                    kind = "once" if last == number else "from then on"
                    outcome.faults.append(f"write {number} of {count} failed {kind}: {fault}")
        outcome.figures["writes of a run"] = str(count)
    return outcome


def _attacked(jobs: Jobs, first: int, last: int, expected: Job) -> str:
    before = {job.id for job in jobs.store.all("train")}
    try:
        with failing(jobs) as disk:
            disk.fail(first, last)
            with contextlib.suppress(SamarError, OSError, sa.exc.OperationalError):
                jobs.submit(SETTINGS)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    new = [job for job in jobs.store.all("train") if job.id not in before]
    if not new:  # it was not even begun, and said so
        return ""
    (run,) = new
    if run.status == "queued":
        jobs.look_after()
        jobs._scheduled = 0.0
        jobs.look_after()
        run = jobs.get(run.id)
    if run.status in ("running", "paused"):  # its end could not be written either
        reason = read_reason(run.id)
        jobs.store.move(run, "interrupted", reason)
        if "full" not in reason and "No space" not in reason:
            return f"it ended without a reason ({reason!r})"
        run = jobs.get(run.id)
    if run.status in RESUMABLE:
        if "full" not in run.message and "No space" not in run.message:
            return f"it is {run.status} and says {run.message!r}"
        jobs.resume(run.id)
        run = jobs.get(run.id)
    if run.status != "finished":
        return f"it is {run.status}: {run.message}"
    return difference(jobs, run, expected)
