"""``runs``, ``show``, ``stop`` and ``delete``: look at runs and manage them."""

import argparse
import json
from typing import Any

from samar.cli.tables import print_table
from samar.jobs.service import Jobs
from samar.jobs.summary import summary


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    listing = commands.add_parser("runs", help="list runs, newest first")
    listing.set_defaults(run=_list)
    for name, action, help in (
        ("show", _show, "show one run"),
        ("stop", _stop, "stop a run; it can be resumed"),
        ("delete", _delete, "delete a run with its files"),
    ):
        parser = commands.add_parser(name, help=help)
        parser.add_argument("id", metavar="RUN", help="id or name of the run")
        parser.set_defaults(run=action)


def _list(_: argparse.Namespace) -> int:
    runs = Jobs().all("train")
    if not runs:
        print("No runs yet; start one with: python -m samar train")
        return 0
    rows = []
    for run in runs:
        last = run.last_epoch
        numbers = ("", "", "")
        if last is not None:
            numbers = (
                f"{last.epoch}/{run.settings.epochs}",
                f"{last.train_accuracy:.2%}",
                f"{last.test_accuracy:.2%}",
            )
        rows.append((run.id, run.title, run.status, *numbers))
    print_table(("id", "name", "status", "epoch", "train", "test"), rows)
    return 0


def _show(options: argparse.Namespace) -> int:
    service = Jobs()
    run = service.get(options.id, "train")
    facts = {
        "name": run.title,
        "message": run.message,
        "device": run.device,
        "command": run.settings.command,
        "settings": run.settings.model_dump(),
    }
    print(json.dumps({**summary(service.store, run), **facts}, indent=2, ensure_ascii=False))
    return 0


def _stop(options: argparse.Namespace) -> int:
    service = Jobs()
    run = service.get(options.id, "train")
    service.stop(run.id)
    print(f"Run {run.id} stops after its current step.")
    return 0


def _delete(options: argparse.Namespace) -> int:
    service = Jobs()
    run = service.get(options.id, "train")
    service.delete(run.id)
    print(f"Run {run.id} is deleted.")
    return 0
