"""``train``, ``resume`` and ``edit``: start a run, continue a job, change it while it trains."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from samar.cli import race
from samar.cli.measure import follow, print_note
from samar.cli.race import add_edits, edits_from
from samar.cli.sweep import follow_sweep
from samar.device.catalog import gathered
from samar.errors import ConfigError
from samar.jobs.job import Job, edits_name
from samar.jobs.service import Jobs
from samar.jobs.summary import percent, summary
from samar.settings.command import PROGRAM, add_settings, json_line, settings_from
from samar.settings.declare import settings_of
from samar.sweeps.service import Sweeps
from samar.training.settings import TrainSettings

NONE = "none"
"""What 'edit' takes for a setting that may be without a value."""


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    train = commands.add_parser("train", help="train a network", description="Train a network.")
    add_settings(train, TrainSettings)
    add_edits(train)
    race.add_pace(train)
    pace = commands.add_parser(
        "pace",
        help="let a run or a race go on at another pace",
        description="Change how fast a run trains and whether it is measured meanwhile: off, fast, "
        "epoch, or the most epochs a second. It changes no number of the run.",
    )
    pace.add_argument("id", metavar="JOB", help="number, id or name of the run or race")
    pace.add_argument("pace", metavar="PACE", help="off, fast, epoch or a number")
    pace.set_defaults(run=_pace)
    edit = commands.add_parser(
        "edit",
        help="change settings of a run while it trains",
        description="Change live settings of a run that trains or is paused, from its next step "
        "on; what is left out stays as it is. '--lam-held none' lets λ move again. The run "
        "remembers its edits: 'show' lists them, 'export' writes them to a file, and "
        "'train --edits' makes them again.",
    )
    edit.add_argument("id", metavar="JOB", help="number, id or name of the run")
    fixed = [n for n, known in settings_of(TrainSettings).items() if not known.live]
    add_settings(edit, TrainSettings, without=fixed, defaults=False)
    edit.set_defaults(run=_edit)
    resume = commands.add_parser("resume", help="continue a job that was paused or ended early")
    resume.add_argument("id", metavar="JOB", help="number, id or name of the job")
    resume.add_argument(
        "--ranks", type=int, help="of a run that ended early: in how many processes it goes on"
    )
    for parser, run in ((train, _train), (resume, _resume)):
        parser.add_argument("--json", action="store_true", help="end with one JSON object")
        parser.set_defaults(run=run)


def _edit(options: argparse.Namespace) -> int:
    service = Jobs(by="command line")
    job = service.get(options.id)
    known, given = settings_of(TrainSettings), dict[str, Any]()
    for name, value in vars(options).items():
        if name in known:
            given[name] = None if known[name].optional and value == NONE else value
    if not given:
        raise ConfigError("Nothing is to be changed; give a setting, such as --rho 0.1.")
    service.change(job.id, **given)
    print(f"Run {job.id} goes on with the change after its current step.")
    return 0


def _pace(options: argparse.Namespace) -> int:
    service = Jobs(by="command line")
    job = service.get(options.id)
    service.set_pace(job.id, options.pace)
    print(f"{job.id} goes on at pace {options.pace}.")
    return 0


def _train(options: argparse.Namespace) -> int:
    rank, count = gathered()
    if here := count > 1:
        options.ranks = count
    settings = settings_from(options, TrainSettings)
    if rank:
        return follow_first(settings.device)
    service = Jobs()
    job_id = service.submit(settings, edits=edits_from(options), pace=options.pace, here=here)
    with done_here(service, job_id) if here else nullcontext():
        return _follow(service, job_id, options.json)


def _resume(options: argparse.Namespace) -> int:
    service = Jobs()
    job = service.get(options.id)
    rank, count = gathered()
    if rank:
        return follow_first(job.settings.device)
    here = count > 1
    service.resume(job.id, ranks=count if here else options.ranks, here=here)
    with done_here(service, job.id) if here else nullcontext():
        return _follow(service, job.id, options.json)


def _follow(service: Jobs, job_id: str, as_json: bool) -> int:
    kind = service.store.get(job_id).kind
    if kind == "sweep":
        return follow_sweep(Sweeps(service), job_id, as_json)
    if kind == "race":
        return race.report(service, follow(service, job_id, race.words), as_json)
    job = follow(service, job_id, _words)
    trains = job.kind == "train"
    if as_json:
        if job.message:
            print(f"samar: {job.message}", file=sys.stderr)
        own = {"job": job.id, "status": job.status, **job.summary}
        print(json_line(summary(service.store, job) if trains else own))
    else:
        called = "Run" if trains else "Job"
        print(f"{called} {job.id} ({job.label}): {job.status}. {job.message}".rstrip())
        if (last := job.last_epoch) is not None:
            held_out = percent(last.val_accuracy)
            print(
                f"Training accuracy {last.train_accuracy:.2%}, "
                f"{held_out and f'validation accuracy {held_out}, '}test accuracy "
                f"{last.test_accuracy:.2%}, gap {last.gap:+.2%} after {last.epoch} epochs in "
                f"{last.seconds:.1f} s of training."
            )
        if job.summary.get("compile_seconds"):
            print(f"Compiling took {job.summary['compile_seconds']:.1f} s besides.")
        if job.edits:
            file = edits_name(job.id)
            print(f"Write its edits to a file with: {PROGRAM} export {job.id} --out {file}")
            print(f"It was edited {job.edits}×; repeat it with: {job.command}")
        print_note(job)
        if job.status == "stopped":
            print(f"Continue with: python -m samar resume {job.id}", file=sys.stderr)
    return 0 if job.status in ("finished", "stopped") else 1


def _words(job: Job) -> str:
    """How far a job is, beside the bar."""
    words = [job.status, job.doing] if job.doing else [job.status]
    if (last := job.last_epoch) is not None:
        words += [f"epoch {last.epoch}/{job.settings.epochs}", f"test {last.test_accuracy:.2%}"]
    return " · ".join(words)


def follow_first(device: str) -> int:
    """Under torchrun: do as the first process tells until it ends, whoever ends it.

    Args:
        device: as in the run's settings.
    """
    from samar.training.ranks import follow

    _on(device)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    follow()
    return 0


@contextmanager
def done_here(jobs: Jobs, job_id: str) -> Iterator[None]:
    """Do a job that this process has claimed while a block watches it."""
    from samar.jobs.engine.worker import do

    job = jobs.store.get(job_id)
    _on(job.settings.device)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop after the step
    work = threading.Thread(target=do, args=(jobs.store, job))
    work.start()
    try:
        yield
    finally:
        work.join()


def _on(device: str) -> None:
    os.environ["SAMAR_RANKS_ON"] = device
