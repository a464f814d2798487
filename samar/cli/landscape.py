"""``landscape``: the loss around a trained network, as numbers and as pictures."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from samar.cli.output import json_line
from samar.data import NORMALIZATIONS
from samar.errors import ConfigError
from samar.landscape import BATCHNORM, DIRECTIONS, LEVELS, LandscapeConfig

if TYPE_CHECKING:
    from samar.landscape import Landscape

FORMATS = (".npz", ".csv", ".html", ".vtp")


def register(commands: Any) -> None:
    """Add the command to the parser."""
    default = LandscapeConfig()
    parser = commands.add_parser(
        "landscape",
        help="measure the loss around a network",
        description="Loss and accuracy on a line or a plane through a network's weights.",
    )
    add = parser.add_argument
    add("subject", metavar="RUN_OR_CHECKPOINT", help="id or name of a run, or a weights file")
    add("--model", help="of a weights file: the network")
    add("--dataset", help="of a weights file: digits, cifar10, cifar100 or folder:PATH")
    add(
        "--normalize",
        default="auto",
        help=f"of a weights file: auto, {', '.join(NORMALIZATIONS)} (default: auto)",
    )
    add("--dim", type=int, default=default.dim, help="1 for a line, 2 for a plane (default: 2)")
    add(
        "--points",
        type=int,
        default=default.points,
        help=f"along each axis: {', '.join(map(str, LEVELS))} (default: {default.points})",
    )
    add(
        "--span",
        type=float,
        help="half the width, in units of the directions (default: "
        f"{DIRECTIONS['raw'].span:g} for raw, {DIRECTIONS['hessian'].span:g} for hessian, else 1)",
    )
    add(
        "--directions",
        default=default.directions,
        help=f"{', '.join(DIRECTIONS)} (default: {default.directions})",
    )
    add(
        "--with",
        dest="others",
        nargs="+",
        default=[],
        metavar="RUN_OR_CHECKPOINT",
        help="further networks: the other ends for between, earlier snapshots in order for pca "
        "(those that the run itself kept, if left out)",
    )
    add("--seed", type=int, default=default.seed, help="of random directions (default: 0)")
    add("--images", type=int, default=default.images, help="how many (default: 512)")
    add("--split", default=default.split, help="train or test (default: test)")
    add(
        "--bn",
        default=default.batchnorm,
        help=f"BatchNorm statistics: auto, {', '.join(BATCHNORM)} (default: auto, "
        "which recalibrates between networks)",
    )
    add(
        "--path",
        action="store_true",
        help="show the weights that the run kept on its way (always shown with pca)",
    )
    add("--rho", type=float, default=default.rho, help="radius of the ball to draw (default: none)")
    add(
        "--precision",
        default=default.precision,
        help="fp32, or bf16 for a quick preview (default: fp32)",
    )
    add("--out", type=Path, help=f"file to write, one of {', '.join(FORMATS)}")
    add("--json", action="store_true", help="end with one JSON object")
    parser.set_defaults(run=_landscape)


def _landscape(options: argparse.Namespace) -> int:
    config = LandscapeConfig(
        directions=options.directions,
        dim=options.dim,
        points=options.points,
        span=options.span or DIRECTIONS.get(options.directions, DIRECTIONS["filter"]).span,
        seed=options.seed,
        images=options.images,
        split=options.split,
        batchnorm=options.bn,
        rho=options.rho,
        path=options.path,
        precision=options.precision,
    )
    if options.directions != "pca" or options.others:
        config.require_others(len(options.others))
    out: Path | None = options.out
    if out is not None and out.suffix not in FORMATS:
        raise ConfigError(f"{out} is of no known kind; choose one of {', '.join(FORMATS)}.")
    title, landscape = _measured(config, options)
    if out is not None:
        write(landscape, title, out)
    numbers = landscape.summary()
    if options.json:
        print(json_line(numbers))
    else:
        print(
            f"{title}: loss {numbers['centre_loss']:.6f} at the centre, from "
            f"{numbers['min_loss']:.6f} to {numbers['max_loss']:.6g} over {landscape.loss.size} "
            f"points in {numbers['seconds']:.1f} s."
        )
        for name in ("barrier", "climb_within_rho"):
            if name in numbers:
                print(f"{name.replace('_', ' ').capitalize()}: {numbers[name]:.6g}.")
    return 0


def _measured(config: LandscapeConfig, options: argparse.Namespace) -> "tuple[str, Landscape]":
    """Measure with a progress bar; Ctrl-C keeps what the last complete level holds."""
    from samar.runs.picture import prepare

    of_file = {name: getattr(options, name) for name in ("model", "dataset", "normalize")}
    console = Console(stderr=True)
    with console.status("Loading network and images…") as status:
        subject, survey = prepare(
            options.subject, config, of_file=of_file, others=options.others, tell=status.update
        )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    landscape = None
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("landscape", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        try:
            for landscape in survey.levels(progress=show):
                progress.update(task, description=f"{landscape.points} points an axis")
        except KeyboardInterrupt:
            if landscape is None:
                raise
            progress.console.print(f"Stopped at {landscape.points} points an axis.")
    assert landscape is not None
    return subject.title, landscape


def write(landscape: "Landscape", title: str, path: Path) -> None:
    """Write a landscape in the format that the suffix names."""
    from samar.landscape.export import to_csv, to_vtp

    if path.suffix == ".npz":
        landscape.save(path)
    elif path.suffix == ".csv":
        path.write_text(to_csv(landscape), encoding="utf-8")
    elif path.suffix == ".vtp":
        path.write_bytes(to_vtp(landscape))
    else:
        from samar.figures.landscape_html import standalone_html

        path.write_text(standalone_html([(title, landscape)]), encoding="utf-8")
