"""``jobs`` and ``cancel``: everything that computes, computed, or waits to."""

import argparse
import time
from typing import Any

from samar.cli.tables import print_table
from samar.errors import ConfigError
from samar.jobs.job import ACTIVE, RESUMABLE, UNREADABLE, Job
from samar.jobs.kind import kinds
from samar.jobs.service import Jobs
from samar.settings.command import json_line

STATUSES = (*ACTIVE, *RESUMABLE, "finished", "diverged", UNREADABLE)


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    listing = commands.add_parser("jobs", help="list jobs of every kind, newest first")
    listing.add_argument("--kind", help="only jobs of this kind")
    listing.add_argument("--status", help=f"only jobs that are so: {', '.join(STATUSES)}")
    listing.add_argument("--json", action="store_true", help="print a list of objects")
    listing.set_defaults(run=_list)
    cancel = commands.add_parser("cancel", help="cancel a job of any kind")
    cancel.add_argument("id", metavar="JOB", help="id or name of the job")
    cancel.set_defaults(run=_cancel)


def facts(job: Job) -> dict[str, Any]:
    """A job as plain values."""
    names = ("id", "kind", "status", "message", "parent", "done", "total", "doing", "created")
    return {
        **{name: getattr(job, name) for name in (*names, "started", "finished")},
        "name": job.title,
        "settings": job.settings.model_dump(mode="json"),
        "inputs": dict(job.inputs),
        "summary": dict(job.summary),
    }


def _list(options: argparse.Namespace) -> int:
    for name, known in (("kind", kinds()), ("status", STATUSES)):
        value = getattr(options, name)
        if value is not None and value not in known:
            raise ConfigError(f"There is no {name} {value!r}; choose {', '.join(known)}.")
    found = Jobs().all(options.kind)
    if options.status:
        found = [job for job in found if job.status == options.status]
    if options.json:
        print(json_line([facts(job) for job in found]))
        return 0
    if not found:
        print("No such jobs. Start one with: python -m samar train")
        return 0
    rows = [
        (job.id, job.kind, job.title, job.status, progress(job), job.parent or "") for job in found
    ]
    print_table(("id", "kind", "name", "status", "progress", "part of"), rows)
    return 0


def progress(job: Job) -> str:
    """How far a job is, and about how long it will take."""
    if not job.total:
        return job.doing
    words = f"{job.done}/{job.total}"
    if job.status == "running" and job.started and job.done:
        left = (time.time() - job.started) * (job.total - job.done) / job.done
        words += f", about {left:.0f} s left"
    return words


def _cancel(options: argparse.Namespace) -> int:
    jobs = Jobs()
    job = jobs.get(options.id)
    jobs.stop(job.id)
    print(f"Job {job.id} stops after its current piece of work.")
    return 0
