"""``store copy``: the jobs of one store in another."""

import argparse
from typing import Any

from rich.console import Console
from rich.progress import Progress

from samar.jobs.sql.copying import Copied, copy_jobs, place
from samar.settings.command import json_line


def register(commands: Any) -> None:
    """Add the command to the parser."""
    store = commands.add_parser("store", help="copy the jobs of one store into another")
    actions = store.add_subparsers(dest="action", required=True, metavar="ACTION")
    copy = actions.add_parser(
        "copy",
        help="copy jobs with their records and files",
        description="Copies every job that has ended, with its records and files, into another "
        "store; a sweep that was stopped takes its waiting runs along. Jobs keep their ids; one "
        "that is there already stays as it is.",
    )
    for name, word in (("source", "FROM"), ("target", "TO")):
        copy.add_argument(name, metavar=word, help="a store's URL, or a folder as in SAMAR_HOME")
    copy.add_argument("--from-files", metavar="FOLDER", help="where the files of FROM are")
    copy.add_argument("--to-files", metavar="FOLDER", help="where the files of TO are to be")
    copy.add_argument("--json", action="store_true", help="print one JSON object")
    copy.set_defaults(run=_copy)


def _copy(options: argparse.Namespace) -> int:
    source = place(options.source, options.from_files)
    target = place(options.target, options.to_files, new=True)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Copying jobs")
        found = copy_jobs(
            source, target, lambda done, of: progress.update(task, completed=done, total=of)
        )
    if options.json:
        print(json_line(vars(found)))
    else:
        print(_told(found))
        for job_id, problem in found.refused.items():
            print(f"{job_id} was not copied: {problem}")
    return 1 if found.refused else 0


def _told(found: Copied) -> str:
    def jobs(ids: list[str]) -> str:
        return f"{len(ids)} job" + ("" if len(ids) == 1 else "s")

    told = [f"{jobs(found.copied)} copied"]
    if found.there:
        told.append(f"{jobs(found.there)} had been there")
    if found.active:
        told.append(f"{jobs(found.active)} not ended and left out ({', '.join(found.active[:5])})")
    return "; ".join(told) + "."
