"""``record``: make the recorded runs that ship with the app anew."""

import argparse
import shutil
from typing import Any

from samar.cli.study import follow_sentences
from samar.errors import SamarError
from samar.jobs.files import job_dir
from samar.jobs.service import Jobs
from samar.kinds.record import RECORDING, RecordSettings
from samar.recordings.catalog import FOLDER
from samar.settings.command import add_settings, settings_from
from samar.settings.paths import out_folder


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
    job = follow_sentences(jobs, jobs.submit(settings))
    options.out.mkdir(parents=True, exist_ok=True)
    for kept in jobs.store.records.artifacts(job.key, RECORDING):
        path = shutil.copyfile(job_dir(job.id) / kept.path, options.out / kept.path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    if job.status not in ("finished", "stopped"):
        raise SamarError(job.message)
    return 0 if job.status == "finished" else 130
