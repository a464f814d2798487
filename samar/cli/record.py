"""``record``: make the recorded runs that ship with the app anew."""

import argparse
import shutil
import time
from contextlib import suppress
from typing import Any

from samar.errors import RunError, SamarError
from samar.jobs.job import Job, job_dir
from samar.jobs.service import Jobs
from samar.kinds.record import RECORDING, RecordSettings
from samar.recordings.catalog import FOLDER
from samar.settings.command import add_settings, settings_from
from samar.settings.paths import out_folder

POLL_SECONDS = 0.2


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("record", help="make the recorded runs of the lessons anew")
    add_settings(parser, RecordSettings)
    parser.add_argument(
        "--out", metavar="FOLDER", default=FOLDER, help="folder (default: where the app reads them)"
    )
    parser.set_defaults(run=_record)


def _record(options: argparse.Namespace) -> int:
    settings = settings_from(options, RecordSettings)
    options.out = out_folder(options.out)
    jobs = Jobs()
    job = _follow(jobs, jobs.submit(settings))
    options.out.mkdir(parents=True, exist_ok=True)
    for kept in jobs.store.records.artifacts(job.key, RECORDING):
        path = shutil.copyfile(job_dir(job.id) / kept.path, options.out / kept.path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    if job.status not in ("finished", "stopped"):
        raise SamarError(job.message)
    return 0 if job.status == "finished" else 130


def _follow(jobs: Jobs, job_id: str) -> Job:
    """Print, line by line, what a job says, until it is over; Ctrl-C stops it."""
    newest = 0
    while True:
        try:
            job = jobs.get(job_id)
            for event in jobs.store.records.events(job.key, newest):
                newest = event.key
                if "sentence" in event.detail:
                    print(event.detail["sentence"], flush=True)
            if not job.active:
                return job
            time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            with suppress(RunError):
                jobs.stop(job_id)
