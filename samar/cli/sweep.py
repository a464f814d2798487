"""``sweep`` and ``sweeps``: many runs over chosen settings and seeds, and what they showed."""

import argparse
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from samar.cli.tables import print_table
from samar.errors import ConfigError
from samar.settings.command import add_settings, json_line, refuse, say_idle
from samar.sweeps.presets import SWEEP_PRESETS, sweep_preset
from samar.sweeps.results import best_by_validation, by_task, edited_sentence, results
from samar.sweeps.service import Sweep, Sweeps
from samar.sweeps.spec import OPTIONS, SweepSpec
from samar.sweeps.values import SETTINGS, parse_condition, parse_grid, parse_ranges
from samar.training.settings import TrainSettings

POLL_SECONDS = 0.5
VERBS = {
    "show": "show a sweep's results",
    "pause": "start no further member; the one that trains comes to its end",
    "resume": "go on, or watch again; members that were stopped, failed or lost go on from what "
    "they saved",
    "stop": "start no further member and stop the one that trains; it can be resumed",
    "delete": "delete a sweep with all its runs and their files",
}
EXAMPLE = (
    "Example: python -m samar sweep --grid rho=0.05,0.1,0.2 --grid optimizer=sgd,sam,samar "
    "--seeds 3 --epochs 20"
)


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    sweep = commands.add_parser(
        "sweep",
        help="try settings over several seeds; or: sweep show|pause|resume|stop|delete SWEEP",
        description="Try settings over several seeds and compare them fairly: the best is chosen "
        "on held-out training images, test accuracy is that of the last epoch. Ctrl-C leaves a "
        "sweep running in the background.",
        epilog=EXAMPLE,
    )
    _add_options(sweep)
    add_settings(sweep, SweepSpec)
    add_settings(sweep, TrainSettings, without=SweepSpec.model_fields)
    sweep.set_defaults(run=_start)
    verbs = sweep.add_subparsers(dest="verb", metavar="VERB", title="of an existing sweep")
    for name, help in VERBS.items():
        verb = verbs.add_parser(name, help=help)
        verb.add_argument("id", metavar="SWEEP", help="number, id or name of the sweep")
        act = _show if name == "show" else _resume if name == "resume" else _act
        verb.set_defaults(run=_of_existing, act=act)
        flag: dict[str, Any] = {"action": "store_true", "default": argparse.SUPPRESS}
        if name in ("show", "resume"):
            verb.add_argument("--json", help="end with one JSON object", **flag)
        if name == "resume":
            verb.add_argument("--detach", help="do not wait for its end", **flag)
    commands.add_parser("sweeps", help="list sweeps, newest first").set_defaults(run=_list)


def _add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sweep")
    group.add_argument(
        "--grid", action="append", metavar="SETTING=VALUE,…", help="values to try; repeatable"
    )
    group.add_argument(
        "--range",
        action="append",
        metavar="SETTING=LOW:HIGH[:log]",
        help="an interval to draw from, with --sampler random or tpe; repeatable",
    )
    group.add_argument(
        "--when",
        action="append",
        metavar="SETTING=VALUE:SETTING=VALUE",
        help="a setting that comes with another, such as optimizer=sgd:weight_decay=5e-4",
    )
    group.add_argument(
        "--preset",
        metavar="NAME",
        help="start from a ready-made sweep, which the other options change: "
        + "; ".join(f"{name}: {preset.title}" for name, preset in SWEEP_PRESETS.items()),
    )
    group.add_argument("--detach", action="store_true", help="do not wait for the end")
    group.add_argument("--json", action="store_true", help="end with one JSON object")


def spec_from(options: argparse.Namespace) -> SweepSpec:
    """The sweep that the given options describe; they go before those of a preset.

    Raises:
        ConfigError: one sentence about the first option that does not fit.
    """
    given = vars(options)
    values = sweep_preset(options.preset).spec.model_dump() if options.preset else {}
    grid, ranges = parse_grid(options.grid or ()), parse_ranges(options.range or ())
    base = {n: given[n] for n in TrainSettings.model_fields if n in given and n != "name"}
    chosen = {*grid, *ranges, *base}
    kept = {n: v for n, v in values.get("grid", {}).items() if n not in chosen}
    conditions = [
        {**c, "then": then}
        for c in values.get("conditions", ())
        if (then := {n: v for n, v in c["then"].items() if n not in chosen})
    ]
    values |= {
        "grid": kept | grid,
        "ranges": {n: v for n, v in values.get("ranges", {}).items() if n not in chosen} | ranges,
        "base": values.get("base", {}) | base,
        "conditions": [*conditions, *map(parse_condition, options.when or ())],
        **{name: given[name] for name in OPTIONS if name in given},
    }
    spec = SweepSpec.parse(values)
    for name in base:
        option = SETTINGS[name].option
        if name in (*grid, *ranges):
            raise ConfigError(f"{option} is given, and --grid or --range of it; leave one out.")
        if not spec.used(name):
            print(f"samar: {option} has no effect in any run of the sweep.", file=sys.stderr)
    say_idle(spec, given)
    return spec


def _start(options: argparse.Namespace) -> int:
    given = {name for name, value in vars(options).items() if value is not None}
    if not given & {"grid", "range", "preset", *OPTIONS, *TrainSettings.model_fields} - {"name"}:
        raise ConfigError(
            "The sweep has nothing to try; give --preset, or values such as "
            "--grid optimizer=sgd,samar."
        )
    spec = spec_from(options)
    sweeps = Sweeps()
    return _watch(sweeps, sweeps.jobs.submit(spec), options)


def _of_existing(options: argparse.Namespace) -> int:
    """A verb, before which no option of a new sweep may stand."""
    ignored = ["grid", "range", "when", "preset"]
    ignored += ["json"] * (options.act is _act) + ["detach"] * (options.act is not _resume)
    for model in (SweepSpec, TrainSettings):
        refuse(options, f"with {options.verb}", *ignored, model=model)
    return int(options.act(options))


def _resume(options: argparse.Namespace) -> int:
    sweeps = Sweeps()
    sweep = sweeps.get(options.id)
    if not sweep.active or sweeps.jobs.can_resume(sweep.job):
        sweeps.jobs.resume(sweep.id)
    return _watch(sweeps, sweep.id, options)


def _watch(sweeps: Sweeps, sweep_id: str, options: argparse.Namespace) -> int:
    if options.detach:
        print(sweep_id)
        _say_where(Console(stderr=True), sweep_id)
        return 0
    return follow_sweep(sweeps, sweep_id, options.json)


def follow_sweep(sweeps: Sweeps, sweep_id: str, as_json: bool) -> int:
    """Show progress until the sweep rests, then its results; Ctrl-C leaves it running.

    Returns:
        The command's exit status.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(sweep_id, total=1, note="")
            while (sweep := sweeps.get(sweep_id)).active:
                _progress(progress, task, sweeps, sweep)
                time.sleep(POLL_SECONDS)
            _progress(progress, task, sweeps, sweep)
    except KeyboardInterrupt:
        _say_where(console, sweep_id)
        return 0
    _report(sweeps, sweep, as_json)
    return 0 if sweep.status == "finished" and not sweep.counts.get("failed") else 1


def _say_where(console: Console, sweep_id: str) -> None:
    console.print(
        f"Sweep {sweep_id} goes on in the background. See it with "
        f"'python -m samar sweep show {sweep_id}'; pause, stop and resume work alike.",
        markup=False,
        highlight=False,
    )


def _progress(progress: Progress, task: TaskID, sweeps: Sweeps, sweep: Sweep) -> None:
    note = [sweep.state, *sweep.notes]
    done = sweeps.done(sweep)
    progress.update(task, total=sweep.total, completed=done, note=" · ".join(note))


def _act(options: argparse.Namespace) -> int:
    sweeps = Sweeps()
    sweep = sweeps.get(options.id)
    getattr(sweeps.jobs, options.verb)(sweep.id)
    ends = {
        "pause": "starts no further member; the one that trains comes to its end.",
        "stop": "stops after the current step.",
        "delete": "is deleted with its runs.",
    }
    print(f"Sweep {sweep.id} {ends[options.verb]}")
    return 0


def _list(_: argparse.Namespace) -> int:
    sweeps = Sweeps().all()
    if not sweeps:
        print(f"No sweeps yet. {EXAMPLE}")
        return 0
    rows = [
        (s.job.number, s.id, s.title, s.state, f"{s.ended}/{s.total}", ", ".join(s.notes))
        for s in sweeps
    ]
    print_table(("", "id", "name", "status", "runs", "notes"), rows)
    return 0


def _show(options: argparse.Namespace) -> int:
    sweeps = Sweeps()
    _report(sweeps, sweeps.get(options.id), options.json)
    return 0


def _report(sweeps: Sweeps, sweep: Sweep, as_json: bool) -> None:
    found = results(sweep.spec, sweeps.members(sweep))
    best = [b for task in by_task(found).values() if (b := best_by_validation(task)) is not None]
    if as_json:
        facts: dict[str, Any] = {"sweep": sweep.id, "name": sweep.title, "status": sweep.state}
        facts |= {"counts": dict(sweep.counts), "command": sweep.spec.command}
        rows = [setting.row() for setting in found]
        print(json_line(facts | {"settings": rows, "best": [setting.row() for setting in best]}))
        return
    cells = [
        (
            each.label,
            f"{each.test.n}/{len(each.runs)}",
            *(f"{part.percent} %" * bool(part.percent) for part in (each.val, each.test, each.gap)),
            f"{each.grad_evals:,.0f}" if each.test.n else "",
            "← best by validation" if each in best else "",
        )
        for each in found
    ]
    print_table(("setting", "done", "validation", "test", "gap", "gradients", ""), cells)
    if told := edited_sentence(found):
        print(told)
    told = f"{sweep.state}, {sweep.ended} of {sweep.total} runs."
    print(f"Sweep {sweep.id} ({sweep.job.label}): {told} {sweep.job.message}".rstrip())
