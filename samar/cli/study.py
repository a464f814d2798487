"""``study``: make the runs that the defaults come from, or print what they say."""

import argparse
import time
from contextlib import suppress
from typing import Any

from samar.errors import ConfigError, RunError
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.settings.command import add_settings, refuse, settings_from
from samar.settings.paths import out_file
from samar.sweeps.study.rows import read_rows
from samar.sweeps.study.settings import StudySettings

POLL_SECONDS = 0.2


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "study",
        help="the study that the defaults come from",
        description="Make the study's runs and add each to a table as it ends. Rows that the "
        "table has are not made again, so the study goes on where it was left.",
    )
    add_settings(parser, StudySettings)
    parser.add_argument(
        "--report", action="store_true", help="make nothing; print the tables of --out"
    )
    parser.set_defaults(run=_study)


def _study(options: argparse.Namespace) -> int:
    settings = settings_from(options, StudySettings)
    if options.report:
        vars(options).pop("out", None)
        refuse(options, "with --report", model=StudySettings)
        if not settings.table.exists():
            raise ConfigError(f"There is no table {settings.table.name}; name one with --out.")
        from samar.sweeps.study.markdown import report

        print(report(read_rows(settings.table)))
        return 0
    out_file(settings.out, (".csv",))
    jobs = Jobs()
    left = [job for job in jobs.all("study") if job.settings == settings]
    if left and left[0].status == "running":
        job_id = left[0].id
    elif left and jobs.can_resume(left[0]):
        job_id = left[0].id
        jobs.resume(job_id)
    else:
        job_id = jobs.submit(settings)
    job = follow_sentences(jobs, job_id)
    if job.status == "stopped" and not job.message:
        print("Stopped; the rows so far are kept, and the same command goes on.")
        return 130
    if job.message:
        print(job.message)
    return 1 if job.status == "failed" else 0


def follow_sentences(jobs: Jobs, job_id: str) -> Job:
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
