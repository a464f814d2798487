"""``compare`` and ``export``: runs beside each other, and runs as files."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samar.cli.measure import follow
from samar.cli.tables import print_table
from samar.compare.groups import differences, group_by_seed, shown
from samar.curvature.catalog import MEASURES
from samar.errors import ConfigError, DataError, RunError
from samar.jobs.edits import edits_file
from samar.jobs.job import Job
from samar.jobs.kind import of_a_script, training_kinds
from samar.jobs.service import Jobs
from samar.jobs.summary import percent, summary
from samar.networks.library import ImportedModel, find_model
from samar.networks.load import only_one
from samar.settings.command import json_line
from samar.settings.declare import settings_of
from samar.settings.paths import out_file, out_folder
from samar.training.settings import TrainSettings

if TYPE_CHECKING:
    from samar.compare.flatness import FlatnessReport

TENSORBOARD, ZIPS = "tb:", "zip:"
FORMATS = (".zip", ".html", ".json")
RESULTS = {
    "test_accuracy": "test accuracy",
    "val_accuracy": "validation accuracy",
    "train_accuracy": "train accuracy",
    "gap": "gap",
}


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
        help="number, id or name of a run, or a tag; with --flatness also of an imported network",
    )
    compare.add_argument(
        "--flatness", action="store_true", help="measure sharpness where it is not known yet"
    )
    compare.add_argument("--json", action="store_true", help="end with one JSON object")
    compare.set_defaults(run=_compare)
    export = commands.add_parser("export", help="write a job as ZIP, runs as HTML or TensorBoard")
    export.add_argument(
        "ids", metavar="JOB", nargs="+", help="number, id or name of a job, or a tag"
    )
    export.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="X.zip: one job of any kind, for import elsewhere; zip:FOLDER: many jobs, "
        "a ZIP each; X.html: report of one or more "
        "runs; X.json: what was changed while a run trained, for train --edits; tb:FOLDER: "
        "TensorBoard events of runs",
    )
    export.set_defaults(run=_export)


def _compare(options: argparse.Namespace) -> int:
    service = Jobs()
    imported = {word: model for word in options.ids if (model := find_model(word)) is not None}
    models = list(imported.values())
    if models and not options.flatness:
        raise ConfigError(
            f"{models[0].id} is an imported network: it has no training record to compare; add "
            "--flatness for its place in the flatness report."
        )
    for word, model in imported.items():
        only_one(service.store, word, model)
    runs = _comparable(service, [word for word in options.ids if word not in imported])
    groups = group_by_seed(runs)
    differ = differences([run.settings for run in runs])
    known = settings_of(TrainSettings)
    report = _flatness(service, [*runs, *models]) if options.flatness else None
    if options.json:
        content: dict[str, Any] = {
            "runs": [
                summary(service.store, run) | {"title": run.label, "edits": run.edits}
                for run in runs
            ],
            "differences": differ,
            "groups": [
                {
                    "title": group.title,
                    "runs": [run.id for run in group.runs],
                    "repeats": list(group.repeats),
                    "finished": len(group.finished),
                    **{
                        name: {"mean": found.mean, "sd": found.std}
                        for name, found in group.over_seeds(RESULTS).items()
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
    rows = []
    val = ["val"] * any(run.settings.validation for run in runs)
    figures = ["epochs", "train", *val, "test", "gap", "seconds"]
    for number, run in enumerate(runs):
        last, numbers = run.last_epoch, dict.fromkeys(figures, "")
        if last is not None:
            numbers = {
                "epochs": str(last.epoch),
                "train": f"{last.train_accuracy:.2%}",
                "val": percent(last.val_accuracy),
                "test": f"{last.test_accuracy:.2%}",
                "gap": f"{100 * last.gap:+.2f}",
                "seconds": f"{last.seconds:.1f}",
            }
        own = [numbers[name] for name in figures]
        values = [shown(values[number], known[name]) for name, values in differ.items()]
        rows.append((run.number, run.id, f"{run.title}{run.badge}", run.status, *own, *values))
    columns = ("", "id", "name", "status", *figures)
    print_table((*columns, *(name.replace("_", " ") for name in differ)), rows)
    for group in groups:
        if len(group.runs) > 1:
            parts = [
                f"{RESULTS[name]} {found.percent} %"
                for name, found in group.over_seeds(RESULTS).items()
                if found.n > 1 and found.percent
            ]
            all_count = len(group.finished) == len(group.runs)
            counted = f" ({len(group.finished)} of {len(group.runs)} runs finished)"
            told = ", ".join(parts) or "no results yet"
            print(f"{group.title}: {told}{'' if all_count else counted}")
        if group.repeats:
            others = ", ".join(run.number for run in runs if run.id in group.repeats)
            print(f"{group.title} is without {others}: another run has the same seed.")
    if report is not None:
        _print_flatness(report)
    return 0


def _export(options: argparse.Namespace) -> int:
    if options.out.startswith(TENSORBOARD):
        from samar.exchange.tensorboard import require_tensorboard, write_tensorboard

        require_tensorboard()
        folder = out_folder(options.out.removeprefix(TENSORBOARD))
        service = Jobs()
        for run in _named(service, options.ids, training_kinds()):
            print(write_tensorboard(service.store, run, folder))
        return 0
    if options.out.startswith(ZIPS):
        folder = out_folder(options.out.removeprefix(ZIPS))
        folder.mkdir(parents=True, exist_ok=True)
        service = Jobs()
        for job in _named(service, options.ids):
            _write_zip(service, job, folder / f"{job.id}.zip")
            print(folder / f"{job.id}.zip")
        return 0
    path = out_file(options.out, FORMATS, f", or be {TENSORBOARD}FOLDER or {ZIPS}FOLDER")
    service = Jobs()
    try:
        if path.suffix == ".zip":
            _write_zip(service, _only_one(_named(service, options.ids), ".zip"), path)
        elif path.suffix == ".json":
            edited = _only_one(_named(service, options.ids), ".json")
            path.write_text(edits_file(service.edits(edited)), encoding="utf-8")
        else:
            from samar.charts.html.report import report_html

            runs = _named(service, options.ids, training_kinds())
            if len(runs) > 1:
                runs = _comparable(service, options.ids)
            path.write_text(report_html(service.store, runs), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror or error}).") from None
    print(path)
    return 0


def _write_zip(service: Jobs, job: Job, path: Path) -> None:
    """Beside the target first, so that a failure leaves no half file."""
    from samar.exchange.archive import write_job

    part = path.with_name(f".{path.name}.part")
    try:
        write_job(service.store, job, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _only_one(jobs: Sequence[Job], suffix: str) -> Job:
    if len(jobs) > 1:
        raise ConfigError(
            f"A {suffix} holds one job, but {len(jobs)} were given; export one by one."
        )
    return jobs[0]


def _named(
    service: Jobs, words: Sequence[str], kind: str | Sequence[str] | None = None
) -> list[Job]:
    """Jobs by id or name; a word that is neither may be a tag of several."""
    found: dict[str, Job] = {}
    for word in words:
        try:
            jobs = [service.get(word, kind)]
        except RunError:
            jobs = [job for job in service.all(kind) if word in job.tags]
            if not jobs:
                raise
        for job in jobs:
            found[job.id] = job
    return list(found.values())


def _comparable(service: Jobs, words: Sequence[str]) -> list[Job]:
    """Runs as of :func:`_named`, whose settings are known."""
    runs = _named(service, words, training_kinds())
    for run in runs:
        if of_a_script(run.kind):
            raise RunError(
                f"{run.label} is a script's run, whose settings only the script knows; leave it "
                "out to compare the others."
            )
    return runs


def _flatness(service: Jobs, networks: Sequence[Job | ImportedModel]) -> "FlatnessReport":
    """Measure what is missing, and report; a run that cannot be measured is left out."""
    from samar.compare.flatness import flatness_report
    from samar.compare.measuring import called, jobs_wanted, known_measures, measurable, point_of

    points = []
    for trained in networks:
        if isinstance(trained, Job) and not measurable(trained):
            print(
                f"samar: {called(trained)} is left out of the flatness report, because it has no "
                "weights and accuracy from its end.",
                file=sys.stderr,
            )
            continue
        if known_measures(service.store, trained) is None:
            for settings in jobs_wanted(trained):
                job = follow(service, service.submit(settings))
                if job.status != "finished":
                    raise RunError(
                        f"{called(trained)} was not measured: {job.message or job.status}"
                    )
        found = known_measures(service.store, trained)
        if found is None:
            raise RunError(f"{called(trained)} could not be measured; see: python -m samar jobs")
        points.append(point_of(trained, found))
    return flatness_report(points)


def _print_flatness(report: "FlatnessReport") -> None:
    rows = []
    for name, gap in report.gap.items():
        cells = [MEASURES[name].title]
        for each in (gap, report.accuracy[name]):
            found = [f"{each.tau:+.2f}", f"{each.low:+.2f} to {each.high:+.2f}"]
            cells += ["", ""] if math.isnan(each.tau) else found
        rows.append(cells)
    print_table(("measure", "τ with gap", "95 %", "τ with test accuracy", "95 %"), rows)
    print(report.sentence)
    for warning in report.warnings:
        print(f"Note: {warning}")
