"""News for lists of jobs: how far each is, and when a page that shows them is out of date."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from samar.errors import RunError
from samar.jobs.job import ACTIVE, HELD, Job
from samar.jobs.kind import SHORT, in_lane
from samar.jobs.store import MEMBER
from samar.jobs.summary import MARKS, duration, progress, where
from samar.kinds.download import DownloadSettings, progress_words
from samar.sweeps.service import Sweep
from samar.web.live.follow import REST_SECONDS
from samar.web.service import service, sweeps

LOOK_SECONDS = 0.1
QUEUE = "queue"
"""Names everything that is at work or waits, but the parts of races and waiting parts of sweeps."""


class ProgressView:
    """How far the jobs of an address are; those that are not there are left out."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._told: dict[str, Any] | None = None
        self._begun: dict[tuple[int, int, str], tuple[float, int]] = {}
        self.rest = LOOK_SECONDS

    def read(self) -> None:
        """See :class:`samar.web.live.follow.View`."""
        jobs = at_work() if tuple(self._names) == (QUEUE,) else _named(self._names)
        self.rest = LOOK_SECONDS if any(job.active for job in jobs) else REST_SECONDS
        self._now = {str(job.key): standing(job) for job in jobs}
        for job in jobs:
            self._now[str(job.key)]["words"] += self._left(job)

    def news(self) -> dict[str, Any]:
        """See :class:`samar.web.live.follow.View`."""
        if self._now == self._told:
            return {}
        self._told = self._now
        return self.whole()

    def whole(self) -> dict[str, Any]:
        """See :class:`samar.web.live.follow.View`."""
        return {"jobs": self._now}

    def _left(self, job: Job) -> str:
        """How long a measurement's piece of work will take, by how long its first part took."""
        if job.status != "running" or not job.total or not in_lane(job.kind, SHORT):
            return ""
        piece = (job.key, job.claim, job.doing)
        began, before = self._begun.setdefault(piece, (time.monotonic(), job.done))
        if job.done <= before:
            return ""
        left = (time.monotonic() - began) * (job.total - job.done) / (job.done - before)
        return f", about {duration(left)} left"


def at_work() -> list[Job]:
    """What :data:`QUEUE` names: what has begun, then what waits, in turn."""
    jobs = service().store.all(status=ACTIVE)
    begun = [job for job in jobs if job.status in HELD and MEMBER not in job.inputs]
    return begun + [job for job in reversed(jobs) if job.status == "queued" and job.parent is None]


def _named(names: Sequence[str]) -> list[Job]:
    jobs = []
    for name in names:
        with suppress(RunError):  # deleted meanwhile
            jobs.append(service().get(name))
    return jobs


def standing(job: Job) -> dict[str, Any]:
    """How a job stands.

    Returns:
        ``share``, how much of it is done, from 0 to 1; ``words``, the same for people; ``state``,
        what else a page draws of it: where that has changed, the page is out of date.
    """
    if job.kind == "sweep":
        return _of_sweep(job, sweeps().get(job.id))
    epoch = job.last_epoch.epoch if job.last_epoch else 0
    state = [job.status, job.message, job.edits, epoch, job.summary.get("members")]
    if in_lane(job.kind, SHORT):
        records = service().store.records
        kept = [artifact.at for artifact in records.artifacts(job.key)]
        state += [kept, len(records.events(job.key))]
    share = min(1.0, job.done / job.total) if job.total else 0.0
    return {"share": share, "words": _words(job), "state": json.dumps(state)}


def _of_sweep(job: Job, sweep: Sweep) -> dict[str, Any]:
    share = min(1.0, sweeps().done(sweep) / sweep.total) if sweep.total else 0.0
    state = json.dumps([job.status, job.message, dict(sweep.counts)])
    return {"share": share, "words": words_of_sweep(sweep), "state": state}


def words_of_sweep(sweep: Sweep) -> str:
    """Where a sweep stands."""
    words = [MARKS[sweep.state], f"{sweep.ended} of {sweep.total} runs", *sweep.notes]
    return " · ".join(words)


def _words(job: Job) -> str:
    if job.kind == DownloadSettings.kind:
        return progress_words(job)
    if job.status in ("queued", "paused"):
        return {"queued": "waits for its turn", "paused": "paused"}[job.status]
    words = progress(job) or "starting…"
    return f"{words}, on {elsewhere}" if (elsewhere := where(job)) else words
