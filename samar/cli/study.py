"""``study``: make the runs that the defaults come from, or print what they say."""

import argparse
from pathlib import Path
from typing import Any

from samar.errors import ConfigError
from samar.sweeps.study.protocol import ARMS, PHASES, TASKS
from samar.sweeps.study.rows import read_rows

RAN = tuple(name for name in PHASES if name != "explore")


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "study",
        help="the study that the defaults come from",
        description="Make the study's runs one after another and add each to a table as it ends. "
        "Rows that the table has are not made again, so the study goes on where it was left.",
    )
    settings = "; ".join(f"{name}: {task.title}" for name, task in TASKS.items()).replace("%", "%%")
    phases = "; ".join(f"{name}: {text}" for name, text in PHASES.items())
    parser.add_argument(
        "--setting", action="append", metavar="NAME", help=f"{settings} (default: all)"
    )
    parser.add_argument(
        "--phase", action="append", metavar="NAME", help=f"{phases} (default: {', '.join(RAN)})"
    )
    arms = "; ".join(f"{name}: {arm.title}" for name, arm in ARMS.items())
    parser.add_argument("--arm", action="append", metavar="NAME", help=f"{arms} (default: all)")
    parser.add_argument("--out", type=Path, default=Path("study.csv"), help="default: study.csv")
    parser.add_argument(
        "--images", metavar="folder:PATH", help="CIFAR-10 images, for the setting that needs them"
    )
    parser.add_argument("--hours", type=float, default=float("inf"), help="begin no run after that")
    parser.add_argument(
        "--report", action="store_true", help="make nothing; print the tables of --out"
    )
    parser.set_defaults(run=_study)


def _study(options: argparse.Namespace) -> int:
    if options.report:
        if not options.out.exists():
            raise ConfigError(f"There is no table {options.out}; name one with --out.")
        from samar.sweeps.study.markdown import report

        print(report(read_rows(options.out)))
        return 0
    settings = _known(options.setting, TASKS, "setting") or [
        name for name, task in TASKS.items() if options.images or not task.images
    ]
    phases = _known(options.phase, PHASES, "phase") or list(RAN)
    arms = _known(options.arm, ARMS, "arm")
    for name in settings:
        if TASKS[name].images and not (options.images or "").startswith("folder:"):
            raise ConfigError(
                f"The setting {name!r} needs CIFAR-10 images; give --images folder:PATH."
            )
    if not options.hours > 0:
        raise ConfigError(f"--hours is {options.hours:g}; give a positive number.")

    from samar.sweeps.study.runner import Plan, run_study

    plan = Plan(options.out, settings, phases, arms, options.images, options.hours)
    try:
        run_study(plan, report=lambda sentence: print(sentence, flush=True))
    except KeyboardInterrupt:
        print("Stopped; the rows so far are kept, and the same command goes on.")
        return 130
    return 0


def _known(given: list[str] | None, known: Any, what: str) -> list[str]:
    for name in given or ():
        if name not in known:
            raise ConfigError(f"There is no {what} {name!r}; choose {' or '.join(known)}.")
    return list(given or ())
