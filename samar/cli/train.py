"""``train`` and ``resume``: start or continue a run and follow it to its end."""

import argparse
import sys
import time
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from samar.errors import RunError
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.summary import summary
from samar.settings.command import add_settings, json_line, settings_from
from samar.training.settings import TrainSettings

POLL_SECONDS = 0.2


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    train = commands.add_parser("train", help="train a network", description="Train a network.")
    add_settings(train, TrainSettings)
    resume = commands.add_parser("resume", help="continue a run that ended early")
    resume.add_argument("id", metavar="RUN", help="id or name of the run")
    for parser, run in ((train, _train), (resume, _resume)):
        parser.add_argument("--json", action="store_true", help="end with one JSON object")
        parser.set_defaults(run=run)


def _train(options: argparse.Namespace) -> int:
    service = Jobs()
    return _follow(service, service.submit(settings_from(options, TrainSettings)), options.json)


def _resume(options: argparse.Namespace) -> int:
    service = Jobs()
    run = service.get(options.id)
    service.resume(run.id)
    return _follow(service, run.id, options.json)


def _follow(service: Jobs, run_id: str, as_json: bool) -> int:
    """Show progress until the run is over; Ctrl-C stops the run so that it can be resumed."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(run_id, total=None, note="")
        asked = False
        while True:
            try:
                run = service.get(run_id)
                _show(progress, task, run)
                if not run.active:
                    break
                time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                if not asked:
                    asked = True
                    console.print("Stopping after this step…")
                    with suppress(RunError):
                        service.stop(run_id)
    if as_json:
        if run.message:
            print(f"samar: {run.message}", file=sys.stderr)
        print(json_line(summary(service.store, run)))
    else:
        _print_end(run)
    return 0 if run.status in ("finished", "stopped") else 1


def _show(progress: Progress, task: TaskID, run: Job) -> None:
    note = run.status
    if run.last_epoch is not None:
        note += f" · epoch {run.last_epoch.epoch}/{run.settings.epochs}"
        note += f" · test {run.last_epoch.test_accuracy:.2%}"
    progress.update(task, total=run.total, completed=run.done, note=note)


def _print_end(run: Job) -> None:
    print(f"Run {run.id} ({run.title}): {run.status}. {run.message}".rstrip())
    if run.last_epoch is not None:
        last = run.last_epoch
        print(
            f"Training accuracy {last.train_accuracy:.2%}, test accuracy {last.test_accuracy:.2%}, "
            f"gap {last.gap:+.2%} after {last.epoch} epochs in {last.seconds:.1f} s of training."
        )
    if run.status == "stopped":
        print(f"Continue with: python -m samar resume {run.id}", file=sys.stderr)
