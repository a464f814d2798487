"""``landscape``, ``path``, ``hessian``, ``evaluate``, and every kind without another command.

Each submits a job, shows its progress and prints what it found. An equal job that has finished is
the answer at once; ``--anew`` computes it again. ``topology`` reads landscapes that are measured.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from samar.cli.tables import print_table
from samar.connectivity.catalog import SPLIT_TITLES
from samar.curvature.catalog import COVARIANCE, ENCLOSED, HESSIAN, MATRICES, MEASURES
from samar.curvature.noise import noise_words
from samar.errors import DataError, RunError, SamarError
from samar.jobs.job import Job, job_dir
from samar.jobs.kind import kinds
from samar.jobs.service import Jobs
from samar.kinds.connectivity import (
    PATHS,
    ConnectivityJobSettings,
    connection_of,
    planes_of,
)
from samar.kinds.curvature import CurvatureJobSettings, report_of
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.landscape import LEVEL, LandscapeJobSettings
from samar.landscapes.export import require_vtp
from samar.landscapes.result import Landscape
from samar.landscapes.topology.merge_tree import MergeTree
from samar.landscapes.topology.report import CAVEAT, THRESHOLD, as_json, told, tree_csv
from samar.networks.library import find_model
from samar.networks.load import is_checkpoint
from samar.networks.settings import NetworkSettings
from samar.settings.command import add_settings, json_line, refuse, settings_from
from samar.settings.declare import settings_of
from samar.settings.job import JobSettings
from samar.settings.paths import expanded, out_file

POLL_SECONDS = 0.1
FORMATS = (".npz", ".csv", ".html", ".vtp")
PATH_FORMATS = (".npz", ".csv", ".html")


def register(commands: Any) -> None:
    """Add the commands to the parser."""
    _add(
        commands,
        "landscape",
        "measure the loss around a network",
        "Loss and accuracy on a line or a plane through a network's weights.",
        LandscapeJobSettings,
        _print_landscape,
        formats=FORMATS,
    )
    _register_topology(commands)
    _add(
        commands,
        "path",
        "measure paths between two networks",
        "Loss and accuracy on paths between two networks, with the barriers: on the straight line "
        "and on a curve with a trained bend, before and after the second's neurons are aligned.",
        ConnectivityJobSettings,
        _print_paths,
        formats=PATH_FORMATS,
    )
    _add(
        commands,
        "hessian",
        "top eigenvalues, spectrum and trace of the Hessian",
        "Curvature of the mean cross-entropy at the weights of a run or a file: of its Hessian, or "
        "of another --matrix.",
        CurvatureJobSettings,
        _print_curvature,
    )
    _add(
        commands,
        "evaluate",
        "evaluate a network on its test images",
        "Loss and accuracy of a run, an imported network or a checkpoint.",
        EvaluateSettings,
        _print_evaluation,
    )


def _register_topology(commands: Any) -> None:
    parser = commands.add_parser(
        "topology",
        help="minima, saddles and merge tree of measured landscapes",
        description="Minima and saddles of the loss on measured lines and planes, the persistence "
        "of each basin, and numbers that compare landscapes. Nothing is measured.",
    )
    parser.add_argument(
        "landscapes",
        metavar="LANDSCAPE",
        nargs="+",
        help="saved .npz of a landscape, or number, id or name of a landscape job",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=THRESHOLD,
        metavar="SHARE",
        help="leave out basins less deep than this share of the range of the loss "
        f"(default {THRESHOLD:g})",
    )
    parser.add_argument(
        "--neighbours",
        type=int,
        default=8,
        metavar="N",
        help="of a cell of a plane, 8 or 4 (default 8)",
    )
    parser.add_argument("--out", metavar="FILE", help="file to write, .json, .csv or .html")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.set_defaults(run=_topology)


def _topology(options: argparse.Namespace) -> int:
    out = None if options.out is None else out_file(options.out, (".json", ".csv", ".html"))
    if out is not None and len(options.landscapes) > 1:
        raise SamarError(f"--out takes one landscape, got {len(options.landscapes)}; give one.")
    rows, found = [], []
    for word in options.landscapes:
        title, landscape = _landscape_named(word)
        tree, words = told(landscape, threshold=options.threshold, neighbours=options.neighbours)
        content = as_json(tree, title=title)
        if out is not None:
            _write_topology(out, title, landscape, (tree, words), content)
        found.append(content)
        numbers = tree.numbers()
        counted = f"{numbers['minima']} ({numbers['border_minima']})"
        names = (("total_persistence", "relative_persistence"), ("smad", "relative_smad"))
        shares = [f"{numbers[one]:.4g} ({numbers[share]:.2%})" for one, share in names]
        rows.append((title, counted, str(numbers["saddles"]), *shares, f"{tree.range:.4g}"))
        if not options.json:
            print(f"{title}: {' '.join(words)}")
    if options.json:
        print(json_line(found[0] if len(found) == 1 else {"landscapes": found}))
    else:
        columns = ("", "minima (border)", "saddles", "total persistence", "SMAD", "range")
        print(CAVEAT)
        print_table(columns, rows)
    return 0


def _write_topology(
    out: Path,
    title: str,
    landscape: Landscape,
    topology: tuple[MergeTree, list[str]],
    content: dict[str, Any],
) -> None:
    if out.suffix == ".html":
        from samar.charts.html.landscape import write

        write(landscape, title, out, topology)
        return
    text = tree_csv(topology[0]) if out.suffix == ".csv" else json_line(content)
    out.write_text(text, encoding="utf-8")


def _landscape_named(word: str) -> tuple[str, Landscape]:
    """A saved landscape, or the finest landscape that a job has kept."""
    if Path(word).suffix == ".npz":
        landscape = Landscape.load(expanded(word))
        return str(landscape.manifest.get("title") or Path(word).stem), landscape
    jobs = Jobs()
    job = jobs.get(word)
    kept = jobs.store.records.artifacts(job.key, LEVEL)
    if not kept:
        raise DataError(
            f"Job {job.id} ({job.kind}) holds no landscape; give a landscape job or a saved .npz."
        )
    return job.label, Landscape.load(job_dir(job.id) / kept[-1].path)


def register_others(commands: Any) -> None:
    """Add a command for every kind of job that brings no command of its own."""
    for kind in kinds().values():
        name = kind.settings.verb or kind.name
        if kind.work is not None and name not in commands.choices:
            words = kind.help[0].lower() + kind.help[1:].rstrip(".")
            _add(commands, name, words, kind.help, kind.settings, _print_summary)


def _add(
    commands: Any,
    name: str,
    help: str,
    description: str,
    settings: type[JobSettings],
    show: Callable[[Jobs, Job, argparse.Namespace], None],
    formats: tuple[str, ...] = (),
) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=description)
    add_settings(parser, settings)
    parser.add_argument(
        "--anew", action="store_true", help="compute again what an earlier job has found"
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    if formats:
        told = f"file to write, one of {', '.join(formats)}"
        parser.add_argument("--out", metavar="FILE", help=told)
    parser.set_defaults(run=_measure, settings=settings, show=show, formats=formats)


def _measure(options: argparse.Namespace) -> int:
    settings = settings_from(options, options.settings)
    if getattr(options, "out", None) is not None:
        options.out = out_file(options.out, options.formats)
        if options.out.suffix == ".vtp":
            require_vtp(dim=settings.dim)
    jobs = Jobs()
    if isinstance(settings, NetworkSettings):
        _refuse_known(jobs, options, settings)
    job_id = jobs.submit(settings, anew=options.anew)
    job = follow(jobs, job_id)
    if job.status == "failed":
        raise SamarError(job.message)
    if job.status == "stopped" and not _has_result(jobs, job):
        print("Cancelled; nothing was kept.", file=sys.stderr)
        return 130
    if job.status not in ("finished", "stopped"):
        raise RunError(f"Job {job.id} is {job.status}: {job.message}")
    options.show(jobs, job, options)
    print_note(job)
    return 130 if job.status == "stopped" else 0


def _refuse_known(jobs: Jobs, options: argparse.Namespace, settings: NetworkSettings) -> None:
    """Refuse what a stored network knows itself, where no checkpoint came along.

    Raises:
        ConfigError: such an option was given.
    """
    what = settings.network
    unknown = [each for each in _networks(settings) if find_model(each) is None]
    if not any(is_checkpoint(jobs.store, each) for each in unknown):
        own = ("model", "dataset", "normalize") if what in unknown else ("model",)
        refuse(options, f"on {what!r}, which knows its own", *own)


def _networks(settings: NetworkSettings) -> list[str]:
    """Every network that the settings name."""
    known = settings_of(type(settings)).values()
    values = [getattr(settings, each.name) for each in known if each.pinned]
    return [name for value in values for name in ((value,) if isinstance(value, str) else value)]


def print_note(job: Job) -> None:
    """Say what is not as it was asked for, if anything."""
    for note in job.notes:
        print(f"samar: {note}", file=sys.stderr)


def _has_result(jobs: Jobs, job: Job) -> bool:
    return any(jobs.store.records.artifacts(job.key, kind) for kind in (LEVEL, PATHS))


def follow(jobs: Jobs, job_id: str, words_of: Callable[[Job], str] | None = None) -> Job:
    """Show the progress of a job until it is over, and why it does not go on; Ctrl-C stops it.

    Args:
        words_of: what stands beside the bar; what the job does now if None.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task, told = bar.add_task("Queued", total=None, count=""), ""
        while True:
            try:
                job = jobs.get(job_id)
                words = job.doing or ("Queued" if job.status == "queued" else "Starting…")
                words = words_of(job) if words_of else words
                count = f"{job.done}/{job.total}" if job.total else ""
                bar.update(
                    task, description=words, completed=job.done, total=job.total, count=count
                )
                if not job.active:
                    return job
                if job.message and job.message != told:
                    print(f"samar: {job.message}", file=sys.stderr, flush=True)
                told = job.message
                time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                with suppress(RunError):
                    jobs.stop(job_id)


def _print_landscape(jobs: Jobs, job: Job, options: argparse.Namespace) -> None:
    newest = jobs.store.records.artifacts(job.key, LEVEL)[-1]
    landscape = Landscape.load(job_dir(job.id) / newest.path)
    title = str(job.inputs["title"])
    if options.out is not None:
        from samar.charts.html.landscape import write

        write(landscape, title, options.out)
    numbers = landscape.summary()
    points = len(landscape.loss)
    if job.status == "stopped":
        print(f"Stopped at {points} points an axis.", file=sys.stderr)
    if options.json:
        print(json_line({**numbers, "points": points, "status": job.status}))
        return
    missing = landscape.ends_missing
    centre = "" if missing else f"{numbers['centre_loss']:.6f} at the centre, "
    print(
        f"{title}: loss {centre}from {numbers['min_loss']:.6f} to {numbers['max_loss']:.6g} over "
        f"{landscape.loss.size} points in {numbers['seconds']:.1f} s."
    )
    if landscape.is_adaptive:
        print(f"{landscape.sampling}.")
    if missing:
        print(missing)
    for name in ("barrier", "climb_within_rho"):
        if name in numbers and not missing:
            print(f"{name.replace('_', ' ').capitalize()}: {numbers[name]:.6g}.")


def _print_paths(jobs: Jobs, job: Job, options: argparse.Namespace) -> None:
    found = connection_of(jobs.store, job)
    assert found is not None
    title = str(job.inputs["title"])
    if options.out is not None:
        from samar.charts.html.connectivity import write

        write(found, planes_of(jobs.store, job), title, options.out)
    if job.status == "stopped":
        print(f"Stopped after {len(found.paths)} paths.", file=sys.stderr)
    if options.json:
        print(json_line({**found.summary(), "status": job.status}))
        return
    print(f"{title}: barriers of the loss, ± standard error over images.")
    for path in found.paths:
        for split in path.along:
            loss, right = path.barrier(split), path.accuracy_barrier(split)
            print(
                f"  {path.title:30}{SPLIT_TITLES[split]:16} {loss.value:9.4f} ± {loss.error:.4f} "
                f"at t = {loss.t:<6.4g} accuracy falls by {right.value:.2%} ± {right.error:.2%}"
            )


def _print_summary(_: Jobs, job: Job, options: argparse.Namespace) -> None:
    if options.json:
        print(json_line(job.summary))
    else:
        print(f"Job {job.id} ({job.label}): {job.status}. {json_line(job.summary)}")


def _print_evaluation(_: Jobs, job: Job, options: argparse.Namespace) -> None:
    found = job.summary
    if options.json:
        print(json_line({name: found[name] for name in ("accuracy", "loss", "images")}))
    else:
        print(
            f"Accuracy {found['accuracy']:.2%} ({found['correct']} of {found['images']} images), "
            f"mean cross-entropy {found['loss']:.6f}."
        )


def _print_curvature(jobs: Jobs, job: Job, options: argparse.Namespace) -> None:
    report = report_of(jobs.store, job)
    if options.json:
        print(json_line(report.as_json()))
        return
    spectrum = report.spectrum
    print(
        f"Mean cross-entropy {spectrum.loss:.6f} on {report.images} images; {spectrum.products} "
        f"products in {spectrum.seconds:.1f} s, "
        f"{'converged' if spectrum.converged else 'NOT converged'}."
    )
    if report.matrix != HESSIAN:
        info = MATRICES[report.matrix]
        print(f"Eigenvalues of the {info.title} matrix {info.symbol}:")
    rows = [
        (report.end, spectrum.values, spectrum.residuals),
        (lambda _: "smallest", spectrum.lowest, spectrum.lowest_residuals),
    ]
    for end, values, residuals in rows:
        for value, residual in zip(values, residuals, strict=True):
            print(f"  {end(value):9}{value:14.6g} ± {residual:.1e}")
    for rank, each in enumerate(report.held_out or (), 1):
        print(
            f"  On {report.others} other images, along eigenvector {rank}: {each.value:.6g} ± "
            f"{each.error:.2g} (standard error)."
        )
    if report.held_out is not None:
        print(f"  {ENCLOSED}")
    for rank, part in enumerate(report.gauss_newton or (), 1):
        print(f"  Gauss–Newton part of eigenvalue {rank}: {part:.6g}")
    if report.trace:
        total = report.trace.total
        print(f"Trace {total.value:.6g} ± {total.error:.2g} (standard error).")
        if report.matrix == COVARIANCE:
            words = noise_words(report)
            print(f"{words[0].upper()}{words[1:]}.")
    if report.density:
        density = report.density
        print(
            f"Spectrum from {density.lowest:.4g} to {density.highest:.4g}, "
            f"{len(density.outliers)} eigenvalues stand out."
        )
    for layer in report.layers or ():
        print(
            f"  {layer.name:24} h₁ {layer.eigenvalue:11.4g} ± {layer.residual:.0e}"
            f"   trace {layer.trace:11.4g} ± {layer.trace_error:.2g}"
        )
    for measure in report.sharpness or ():
        shown = "not measured" if measure.value is None else f"{measure.value:.6g}"
        error = f" ± {measure.error:.1e}" if measure.error else ""
        print(f"  {MEASURES[measure.name].title:24} {shown}{error}")
