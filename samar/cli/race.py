"""``race``: train two to four optimizers side by side and say who leads."""

import argparse
import sys
from typing import Any

from samar.cli.measure import follow
from samar.cli.tables import print_table
from samar.compare.standings import race_sentence
from samar.errors import ConfigError
from samar.jobs.edits import PlannedEdit, read_edits
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.store import MEMBER
from samar.jobs.summary import observed, percent
from samar.kinds.race import HELD_OUT, RaceSettings, title_of
from samar.settings.command import add_settings, json_line, settings_from
from samar.settings.paths import expanded

MOST_BYTES = 64 << 20
"""The largest file of edits."""
FIGURES = ("test_loss", "test_accuracy", "train_accuracy")


def register(commands: Any) -> None:
    """Add the command to the parser."""
    race = commands.add_parser(
        "race",
        help="train two to four optimizers side by side",
        description="Train two to four optimizers side by side, step by step, from the same "
        "weights on the same batches. Each is a run of its own in all lists.",
    )
    add_settings(race, RaceSettings)
    add_edits(race)
    add_pace(race)
    race.add_argument(
        "--json", action="store_true", help="end with one JSON object, keyed by optimizer"
    )
    race.set_defaults(run=_race)


def _race(options: argparse.Namespace) -> int:
    service = Jobs()
    settings = settings_from(options, RaceSettings)
    job_id = service.submit(settings, edits=edits_from(options), pace=options.pace)
    return report(service, follow(service, job_id, words), options.json)


def words(job: Job) -> str:
    """How far a race is, beside the bar."""
    found = job.summary.get("members", {})
    told = [f"{name} {figures['test_accuracy']:.1%}" for name, figures in found.items()]
    if found:
        epoch = max(figures["epoch"] for figures in found.values())
        told = [f"epoch {epoch}/{job.settings.epochs}", *told]
    return " · ".join([job.status, *([job.doing] if job.doing else []), *told])


def report(service: Jobs, race: Job, as_json: bool) -> int:
    """Print how a race that is over has ended; returns the exit status."""
    members = service.members(race.id)
    if as_json:
        if race.message:
            print(f"samar: {race.message}", file=sys.stderr)
        print(json_line({member.inputs[MEMBER]: _figures(member) for member in members}))
    else:
        val = ["val"] * (race.settings.validation > 0)
        columns = ["", "optimizer", "status", "epochs", "train", *val, "test"]
        columns += ["gradients", "seconds"]
        print_table(columns, [[row[name] for name in columns] for row in map(_row, members)])
        print(f"Race {race.id} ({race.label}): {race.status}. {race.message}".rstrip())
        epochs = {_title(each): service.store.records.epochs(each.key) for each in members}
        diverged = [_title(each) for each in members if each.status == "diverged"]
        if told := race_sentence(epochs, diverged):
            print(told)
        if race.status == "stopped":
            print(f"Continue with: python -m samar resume {race.id}", file=sys.stderr)
    return 0 if race.status in ("finished", "stopped") else 1


def _title(member: Job) -> str:
    return title_of(member.inputs[MEMBER])


def _figures(member: Job) -> dict[str, Any]:
    last = member.last_epoch
    names = FIGURES + HELD_OUT * (member.settings.validation > 0)
    return {
        "status": member.status,
        **{name: getattr(last, name) if last else None for name in names},
        "gradients": last.grad_evals if last else 0,
        "seconds": last.seconds if last else 0.0,
        **observed(member),
    }


def _row(member: Job) -> dict[str, str]:
    last = member.last_epoch
    return {
        "": member.number,
        "optimizer": _title(member),
        "status": member.status,
        "epochs": str(last.epoch) if last else "0",
        "train": percent(last.train_accuracy) if last else "",
        "val": percent(last.val_accuracy) if last else "",
        "test": percent(last.test_accuracy) if last else "",
        "gradients": f"{last.grad_evals:,}" if last else "",
        "seconds": f"{last.seconds:.1f}" if last else "",
    }


def add_edits(parser: argparse.ArgumentParser) -> None:
    """Let a command take a file of edits."""
    parser.add_argument(
        "--edits",
        metavar="FILE",
        help="changes to make at given steps, as 'export RUN --out FILE.json' writes them",
    )


def add_pace(parser: argparse.ArgumentParser) -> None:
    """Let a command take a pace."""
    parser.add_argument(
        "--pace",
        help="off (measure nothing), fast, epoch (wait for a picture of every epoch), or the most "
        "epochs a second; changes no number of the run (default: fast)",
    )


def edits_from(options: argparse.Namespace) -> list[PlannedEdit]:
    """The edits in the file that the command names; none without it.

    Raises:
        ConfigError: there is no such file, or it holds something else.
    """
    if options.edits is None:
        return []
    path = expanded(options.edits)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path} is no file of edits; it has more than {MOST_BYTES:,} bytes.")
        return read_edits(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no file of edits; it holds no text.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check --edits.") from None
