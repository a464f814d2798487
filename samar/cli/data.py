"""``download``: fetch public data or a public checkpoint, with a progress bar and a checksum."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from samar.cli.measure import follow
from samar.errors import SamarError
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.kinds.download import DownloadSettings, progress_words
from samar.networks.library import get_model
from samar.settings.command import add_settings, settings_from
from samar.settings.job import JobSettings


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("download", help="download CIFAR-10, CIFAR-100 or a checkpoint")
    add_settings(parser, DownloadSettings, without=("name",))
    parser.set_defaults(run=_download)


def _download(options: argparse.Namespace) -> int:
    settings = settings_from(options, DownloadSettings)
    found = finish(Jobs(), settings, words_of=progress_words).summary
    if "imported" in found:
        model = get_model(found["imported"])
        print(f"{settings.source} is ready: imported as {model.id}.")
    else:
        counts = f"{found['train']} training and {found['test']} test images"
        print(f"{settings.source} is ready: {counts}.")
    return 0


def finish(
    jobs: Jobs,
    settings: JobSettings,
    *,
    anew: bool = False,
    words_of: Callable[[Job], str] | None = None,
) -> Job:
    """Submit a job, follow it, and return it when it has finished.

    Raises:
        SamarError: it failed, or ended in another way.
        SystemExit: it was cancelled.
    """
    job = follow(jobs, jobs.submit(settings, anew=anew), words_of)
    if job.status == "stopped":
        print("Cancelled; nothing was kept.", file=sys.stderr)
        raise SystemExit(130)
    if job.status != "finished":
        raise SamarError(job.message)
    return job
