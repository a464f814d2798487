"""``jobs``, ``runs``, ``show``, ``stop``, ``cancel`` and ``delete``: everything that computes,
computed, or waits to.
"""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from samar.cli.tables import print_table
from samar.errors import ConfigError, shown_values
from samar.jobs.job import ARCHIVE, STATUSES, Job, job_dir, moment
from samar.jobs.kind import kinds, training_kinds, trains
from samar.jobs.service import Jobs
from samar.jobs.summary import epochs, percent, places, progress, summary
from samar.settings.command import json_line

NEWEST = 50
"""Jobs that a list on a terminal has, unless it is asked for all."""


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    listing = commands.add_parser("jobs", help="list jobs of every kind, newest first")
    listing.add_argument("--kind", help=f"only jobs of this kind: {', '.join(kinds())}")
    listing.add_argument("--status", help=f"only jobs that are so: {', '.join(STATUSES)}")
    runs = commands.add_parser("runs", help="list training runs, newest first")
    runs.set_defaults(kind="train", status=None)
    for parser, columns in ((listing, _columns), (runs, _columns_of_run)):
        parser.add_argument("--json", action="store_true", help="print a list of objects")
        all_of_them = f"all of them on a terminal too, not only the newest {NEWEST}"
        parser.add_argument("--all", action="store_true", help=all_of_them)
        parser.set_defaults(run=_list, columns=columns)
    for name, action, help in (
        ("show", _show, "show one job of any kind"),
        ("stop", _stop, "stop a job; most can be resumed"),
        ("delete", _delete, "delete a job with its files and all that it owns"),
    ):
        parser = commands.add_parser(name, help=help)
        parser.add_argument("id", metavar="JOB", help="number, id or name of the job")
        parser.set_defaults(run=action)


def facts(job: Job) -> dict[str, Any]:
    """A job as plain values."""
    names = ("id", "kind", "status", "message", "parent", "done", "total", "doing", "created")
    return {
        **{name: getattr(job, name) for name in (*names, "started", "finished")},
        "number": job.key,
        "name": job.title,
        "settings": job.settings.model_dump(mode="json"),
        "edits": job.edits,
        "inputs": dict(job.inputs),
        "summary": dict(job.summary),
    }


def _list(options: argparse.Namespace) -> int:
    for name, known in (("kind", kinds()), ("status", STATUSES)):
        value = getattr(options, name)
        if value is not None and value not in known:
            raise ConfigError(f"There is no {name} {value!r}; choose {', '.join(known)}.")
    runs = options.columns is _columns_of_run
    found = Jobs().all(training_kinds() if runs else options.kind)
    if options.status:
        found = [job for job in found if job.status == options.status]
    if options.json:
        print(json_line([facts(job) for job in found]))
    elif not found:
        what = "runs yet" if runs else "such jobs"
        print(f"No {what}; start one with: python -m samar train")
    else:
        listed = found if options.all or not sys.stdout.isatty() else found[:NEWEST]
        rows = [
            options.columns(job) | place for job, place in zip(listed, places(listed), strict=True)
        ]
        print_table(tuple(rows[0]), [list(row.values()) for row in rows])
        if older := len(found) - len(listed):
            print(f"… and {older:,} older; --all lists them.")
    return 0


def _columns(job: Job) -> dict[str, str]:
    own = {"": job.number, "id": job.id, "kind": job.kind, "name": f"{job.title}{job.badge}"}
    own |= {"status": job.status, "progress": progress(job), "part of": job.parent or ""}
    return own | {"time": moment(job.created)}


def _columns_of_run(run: Job) -> dict[str, str]:
    last = run.last_epoch
    told = f" ({run.details})" if run.details else ""
    return {
        "": run.number,
        "id": run.id,
        "name": f"{run.title}{told}{run.badge}",
        "status": run.status,
        "epoch": epochs(run, last.epoch) if last else "",
        "train": percent(last.train_accuracy) if last else "",
        "test": percent(last.test_accuracy) if last else "",
        "time": moment(run.created),
    }


def _show(options: argparse.Namespace) -> int:
    service = Jobs()
    job = service.get(options.id)
    known = summary(service.store, job) if trains(job.kind) else facts(job)
    kept = service.store.records.artifacts(job.key)
    more = {
        "number": job.key,
        "name": job.title,
        "message": job.message,
        "notes": job.notes,
        "device": job.device,
        "host": job.host,
        "command": job.command,
        "edits": [asdict(edit) for edit in service.edits(job)],
        "settings": job.settings.model_dump(mode="json"),
        "archive": job.inputs.get(ARCHIVE),
        "files": [str(job_dir(job.id) / artifact.path) for artifact in kept],
    }
    print(json_line(shown_values({**known, **more}), indent=2, ensure_ascii=False))
    return 0


def _stop(options: argparse.Namespace) -> int:
    service = Jobs()
    job = service.get(options.id)
    service.stop(job.id)
    job = service.store.get(job.id)
    if job.active:
        step = "step" if job.kind == "train" else "piece of work"
        print(f"{_called(job)} stops after its current {step}.")
    else:
        print(f"{_called(job)} is {job.status}. {job.message}".rstrip())
    return 0


def _delete(options: argparse.Namespace) -> int:
    service = Jobs()
    job = service.get(options.id)
    service.delete(job.id)
    print(f"{_called(job)} is deleted.")
    return 0


def _called(job: Job) -> str:
    return f"{'Run' if job.kind == 'train' else 'Job'} {job.id}"
