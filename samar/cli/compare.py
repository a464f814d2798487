"""``compare`` and ``export``: runs beside each other, and runs as files."""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from samar.compare.differences import differences, shown
from samar.compare.groups import group_by_seed
from samar.errors import ConfigError, DataError, RunError
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.summary import summary
from samar.networks.library import ImportedModel, find_model
from samar.settings.command import json_line

if TYPE_CHECKING:
    from samar.compare.flatness import FlatnessReport

TENSORBOARD = "tb:"
RESULTS = ("test_accuracy", "train_accuracy", "gap")


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    compare = commands.add_parser(
        "compare",
        help="compare runs: results, differing settings, seeds, flatness",
        description="Results of runs, the settings in which they differ, mean ± standard deviation "
        "over seeds, and with --flatness whether sharpness measures went with generalization.",
    )
    compare.add_argument(
        "ids",
        metavar="RUN",
        nargs="+",
        help="id or name of a run, or a tag; with --flatness also of an imported model",
    )
    compare.add_argument(
        "--flatness", action="store_true", help="measure sharpness where it is not known yet"
    )
    compare.add_argument("--json", action="store_true", help="end with one JSON object")
    compare.set_defaults(run=_compare)
    export = commands.add_parser("export", help="write a run as ZIP, HTML or TensorBoard events")
    export.add_argument("ids", metavar="RUN", nargs="+", help="id or name of a run, or a tag")
    export.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="X.zip: one run, for import elsewhere; X.html: report of one or more runs; "
        "tb:FOLDER: TensorBoard events",
    )
    export.set_defaults(run=_export)


def _compare(options: argparse.Namespace) -> int:
    service = Jobs()
    imported = {word: model for word in options.ids if (model := find_model(word)) is not None}
    models = list(imported.values())
    if models and not options.flatness:
        raise ConfigError(
            f"{models[0].id} is an imported model: it has no training record to compare; add "
            "--flatness for its place in the flatness report."
        )
    runs = _runs(service, [word for word in options.ids if word not in imported])
    events = {run.id: service.store.records.events(run.key) for run in runs}
    altered = [run.id for run in runs if any(e.kind == "change" for e in events[run.id])]
    groups = group_by_seed(runs, altered)
    differ = differences([run.settings for run in runs])
    report = _flatness([*runs, *models]) if options.flatness else None
    if options.json:
        content: dict[str, Any] = {
            "runs": [summary(service.store, run) | {"title": run.title} for run in runs],
            "differences": differ,
            "groups": [
                {
                    "title": group.title,
                    "runs": [run.id for run in group.runs],
                    "repeats": list(group.repeats),
                    **{
                        name: {"mean": mean, "sd": sd}
                        for name, (mean, sd) in _over_seeds(group.runs).items()
                    },
                }
                for group in groups
            ],
        }
        if report is not None:
            content["flatness"] = {
                "sentence": report.sentence,
                "warnings": list(report.warnings),
                **{
                    target: {name: vars(each) for name, each in found.items()}
                    for target, found in (("gap", report.gap), ("test_accuracy", report.accuracy))
                },
                "models": [dict(vars(point)) for point in report.points],
            }
        print(json_line(content))
        return 0
    wide = None if sys.stdout.isatty() else 400  # a file or a pipe does not wrap
    console = Console(soft_wrap=True, markup=False, width=wide)
    table = Table("id", "name", "status", "epochs", "train", "test", "gap", "seconds", box=None)
    for name in differ:
        table.add_column(name.replace("_", " "))
    for number, run in enumerate(runs):
        last = run.last_epoch
        numbers = ["", "", "", "", ""]
        if last is not None:
            numbers = [str(last.epoch), f"{last.train_accuracy:.2%}", f"{last.test_accuracy:.2%}"]
            numbers += [f"{100 * last.gap:+.2f}", f"{last.seconds:.1f}"]
        values = [shown(values[number]) for values in differ.values()]
        table.add_row(run.id, run.title, run.status, *numbers, *values)
    console.print(table)
    for group in groups:
        if len(group.runs) > 1:
            found = _over_seeds(group.runs)
            parts = [
                f"{name.replace('_', ' ')} {100 * mean:.2f} ± {100 * sd:.2f} %"
                for name, (mean, sd) in found.items()
                if mean is not None and sd is not None
            ]
            console.print(f"{group.title}: {', '.join(parts) or 'no results yet'}")
    if report is not None:
        _print_flatness(console, report)
    return 0


def _export(options: argparse.Namespace) -> int:
    service = Jobs()
    runs = _runs(service, options.ids)
    out = str(options.out)
    if out.startswith(TENSORBOARD):
        from samar.exchange.tensorboard import write_tensorboard

        for run in runs:
            print(write_tensorboard(service.store, run, Path(out.removeprefix(TENSORBOARD))))
        return 0
    path = Path(out)
    if path.suffix not in (".zip", ".html"):
        raise ConfigError(f"--out is {out!r}; it must end in .zip or .html, or be tb:FOLDER.")
    if path.suffix == ".zip" and len(runs) > 1:
        raise ConfigError(f"A .zip holds one run, but {len(runs)} were given; export one by one.")
    try:
        if path.suffix == ".zip":
            _write_zip(service, runs[0], path)
        else:
            path.write_text(_report(service, runs), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror or error}).") from None
    print(path)
    return 0


def _write_zip(service: Jobs, run: Job, path: Path) -> None:
    """Beside the target first, so that a failure leaves no half file."""
    from samar.exchange.archive import write_run

    part = path.with_name(f".{path.name}.part")
    try:
        write_run(service.store, run, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _report(service: Jobs, runs: Sequence[Job]) -> str:
    from samar.charts.html.report import Recorded, report_html
    from samar.exchange.manifest import manifest_of

    series = service.store.records
    return report_html(
        [
            Recorded(
                run,
                series.steps(run.key),
                series.epochs(run.key),
                series.events(run.key),
                manifest_of(service.store, run),
            )
            for run in runs
        ]
    )


def _runs(service: Jobs, words: Sequence[str]) -> list[Job]:
    """Runs by id or name; a word that is neither may be a tag of several."""
    found: dict[str, Job] = {}
    everything = service.all("train")
    for word in words:
        tagged = [run for run in everything if word in run.tags]
        try:
            runs = [service.get(word)]
        except RunError:
            if not tagged:
                raise
            runs = tagged
        found |= {run.id: run for run in runs}
    return list(found.values())


def _over_seeds(runs: Sequence[Job]) -> dict[str, tuple[float | None, float | None]]:
    """Mean and sample standard deviation of the last epoch's results, as fractions."""
    known = [run.last_epoch for run in runs if run.last_epoch is not None]
    found: dict[str, tuple[float | None, float | None]] = {}
    for name in RESULTS:
        values = [getattr(last, name) for last in known]
        mean = statistics.fmean(values) if values else None
        found[name] = mean, statistics.stdev(values) if len(values) > 1 else None
    return found


def _flatness(networks: Sequence[Job | ImportedModel]) -> "FlatnessReport":
    from samar.compare.flatness import flatness_report
    from samar.compare.measuring import measured, point_of

    interactive = sys.stderr.isatty()

    def progress(sentence: str) -> None:
        if interactive:
            print(f"\r{sentence}\x1b[K", end="", file=sys.stderr, flush=True)

    points = [point_of(each, measured(each, progress)) for each in networks]
    progress("")
    return flatness_report(points)


def _print_flatness(console: Console, report: "FlatnessReport") -> None:
    table = Table("measure", "τ with gap", "95 %", "τ with test accuracy", "95 %", box=None)
    for name, gap in report.gap.items():
        accuracy = report.accuracy[name]
        cells = []
        for each in (gap, accuracy):
            cells += [f"{each.tau:+.2f}", f"{each.low:+.2f} to {each.high:+.2f}"]
        table.add_row(name, *cells)
    console.print(table)
    console.print(report.sentence)
    for warning in report.warnings:
        console.print(f"Note: {warning}")
