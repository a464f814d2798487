"""``train`` and ``resume``: start or continue a run and follow it to its end."""

import argparse
import sys
import time
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from samar.cli.options import add_settings, config_from
from samar.cli.output import json_line
from samar.errors import RunError
from samar.runs import Run, Runs, summary

POLL_SECONDS = 0.2


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    train = commands.add_parser("train", help="train a network", description="Train a network.")
    add_settings(train)
    resume = commands.add_parser("resume", help="continue a run that ended early")
    resume.add_argument("id", metavar="RUN", help="id or name of the run")
    for parser, run in ((train, _train), (resume, _resume)):
        parser.add_argument("--json", action="store_true", help="end with one JSON object")
        parser.set_defaults(run=run)


def _train(options: argparse.Namespace) -> int:
    service = Runs()
    return _follow(service, service.start(config_from(options)), options.json)


def _resume(options: argparse.Namespace) -> int:
    service = Runs()
    run = service.get(options.id)
    service.resume(run.id)
    return _follow(service, run.id, options.json)


def _follow(service: Runs, run_id: str, as_json: bool) -> int:
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


def _show(progress: Progress, task: TaskID, run: Run) -> None:
    note = run.status
    if run.last_epoch is not None:
        note += f" · epoch {run.last_epoch.epoch}/{run.config.epochs}"
        note += f" · test {run.last_epoch.test_accuracy:.2%}"
    progress.update(task, total=run.total_steps, completed=run.step, note=note)


def _print_end(run: Run) -> None:
    print(f"Run {run.id} ({run.title}): {run.status}. {run.message}".rstrip())
    if run.last_epoch is not None:
        last = run.last_epoch
        print(
            f"Training accuracy {last.train_accuracy:.2%}, test accuracy {last.test_accuracy:.2%}, "
            f"gap {last.gap:+.2%} after {last.epoch} epochs in {last.seconds:.1f} s of training."
        )
    if run.status == "stopped":
        print(f"Continue with: python -m samar resume {run.id}", file=sys.stderr)
