"""A job in a few words or numbers: how far it is, how long it will take, what came out."""

import math
import socket
import time
from collections.abc import Sequence
from typing import Any

from samar.jobs.job import Job
from samar.jobs.kind import SHORT, in_lane, of_a_script
from samar.jobs.store import BEGUN, Store

MARKS = {
    "queued": "… queued",
    "running": "▶ running",
    "paused": "‖ paused",
    "finished": "✓ finished",
    "stopped": "■ stopped",
    "diverged": "× diverged",
    "failed": "× failed",
    "interrupted": "! interrupted",
}
"""A status, for people."""
LAMBDA = ("lam_first", "lam_last", "lam_low", "lam_high")


def summary(store: Store, run: Job) -> dict[str, Any]:
    """Final figures of a run, ``None`` where it has none; accuracies and gap are fractions."""
    last = run.last_epoch
    names = ["train_accuracy", "val_accuracy", "test_accuracy"]
    names += ["train_loss", "val_loss", "test_loss", "gap"]
    figures = {name: getattr(last, name, math.nan) for name in names}
    moved = store.records.extent(run.key, "lam") or (None,) * 4
    return {
        "run": run.id,
        "status": run.status,
        "epochs": last.epoch if last else 0,
        "steps": run.done,
        "seconds": last.seconds if last else None,
        **{name: None if math.isnan(value) else value for name, value in figures.items()},
        **dict(zip(LAMBDA, moved, strict=True)),
        **observed(run),
    }


def observed(run: Job) -> dict[str, Any]:
    """How often the observer of a run measured it, and for how long it was behind."""
    nothing = {"planes": 0, "eigenvalue_estimates": 0, "oldest_plane_seconds": None}
    return nothing | dict(run.summary.get("observed", {}))


def seconds_left(job: Job) -> float | None:
    """About how long a running job will still take; None while that cannot be told."""
    if job.status != "running" or not job.total or not job.done or not job.started:
        return None
    if (last := job.last_epoch) is not None:
        spent, done = last.seconds, last.step
    else:  # a resumed job did not do everything since it was last started
        spent, done = time.time() - job.started, job.done - job.summary.get(BEGUN, 0)
    return max(0.0, spent / done * (job.total - job.done)) if done > 0 else None


def progress(job: Job) -> str:
    """How far a job is, and about how long it will take."""
    parts = [f"{job.done:,} of {job.total:,}"] if job.total else []
    if job.done and not job.total and of_a_script(job.kind):
        parts = [f"step {job.done:,}"]
    parts += [job.doing] if job.doing and job.active else []
    if not in_lane(job.kind, SHORT) and (left := seconds_left(job)) is not None:
        parts.append(f"about {duration(left)} left")
    return ", ".join(parts)


def where(job: Job) -> str:
    """The machine and device of a job that another machine has, or had; empty for this one."""
    if job.host in (None, socket.gethostname()):
        return ""
    return f"{job.host} ({job.device})" if job.device else str(job.host)


def places(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """A further column for a table of jobs, row by row; none where all are of this machine."""
    found = [where(job) for job in jobs]
    return [{"where": each} if any(found) else {} for each in found]


def epochs(job: Job, epoch: int) -> str:
    """An epoch, of how many where that is known: ``3/60``."""
    planned = getattr(job.settings, "epochs", "?")
    return f"{epoch}" if planned is None else f"{epoch}/{planned}"


def percent(share: float) -> str:
    """A share for people; empty where nobody knows it."""
    return "" if math.isnan(share) else f"{share:.2%}"


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
