"""``hessian``: eigenvalues, spectrum, trace and sharpness at the weights of a run or a file."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from samar.curvature import ENGINES, MEASURES, Request
from samar.data import NORMALIZATIONS
from samar.models import MODELS

if TYPE_CHECKING:
    from samar.curvature import Report


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "hessian",
        help="top eigenvalues, spectrum and trace of the Hessian",
        description="Curvature of the mean cross-entropy at the weights of a run or a file.",
    )
    parser.add_argument("subject", metavar="RUN_OR_CHECKPOINT", help="a run, or a weights file")
    parser.add_argument("--model", help=f"of a weights file: one of {', '.join(MODELS)}")
    parser.add_argument("--dataset", help="of a weights file: digits, cifar10, … or folder:PATH")
    names = f"auto, {', '.join(NORMALIZATIONS)}"
    parser.add_argument(
        "--normalize", default="auto", help=f"of a weights file: {names} (default: auto)"
    )
    numbers = {
        "top": "how many eigenvalues",
        "tol": "largest residual relative to an eigenvalue",
        "images": "evenly spaced images of the split",
        "max-products": "give up after so many products",
        "seed": "of every random vector",
        "rho": "radius of the sharpness measures",
    }
    for name, words in numbers.items():
        default = getattr(Request, name.replace("-", "_"))
        words = f"{words} (default: {default:g})"
        parser.add_argument(f"--{name}", type=type(default), default=default, help=words)
    words = "; ".join(f"{key}: {meaning}" for key, meaning in ENGINES.items())
    parser.add_argument("--engine", default=Request.engine, help=f"{words} (default: lanczos)")
    parser.add_argument("--split", default="test", help="test or train (default: test)")
    switches = {
        "both-ends": "the smallest eigenvalues must converge too",
        "density": "spectral density by stochastic Lanczos quadrature",
        "trace": "trace by Hutch++ with its standard error",
        "layers": "trace and top eigenvalue of every layer",
        "sharpness": "table of sharpness measures",
        "json": "end with one JSON object",
    }
    for name, words in switches.items():
        parser.add_argument(f"--{name}", action="store_true", help=words)
    parser.set_defaults(run=_hessian)


def _hessian(options: argparse.Namespace) -> int:
    given = vars(options)
    request = Request(**{name: given[name] for name in Request.__dataclass_fields__})

    from samar.runs.spectrum import measure_subject

    interactive = sys.stderr.isatty()

    def progress(sentence: str) -> None:
        if interactive:
            print(f"\r{sentence}\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        of_file = {name: given[name] for name in ("model", "dataset", "normalize")}
        report = measure_subject(options.subject, request, of_file=of_file, progress=progress)
    except KeyboardInterrupt:
        print("\nCancelled; nothing was kept.", file=sys.stderr)
        return 130
    if interactive:
        print("\r\x1b[K", end="", file=sys.stderr)
    if options.json:
        print(json.dumps(report.as_json()))
    else:
        _print(report)
    return 0


def _print(report: "Report") -> None:
    spectrum = report.spectrum
    print(
        f"Mean cross-entropy {spectrum.loss:.6f} on {report.images} images; {spectrum.products} "
        f"products in {spectrum.seconds:.1f} s, "
        f"{'converged' if spectrum.converged else 'NOT converged'}."
    )
    rows = [
        ("largest", spectrum.values, spectrum.residuals),
        ("smallest", spectrum.lowest, spectrum.lowest_residuals),
    ]
    for end, values, residuals in rows:
        for value, residual in zip(values, residuals, strict=True):
            print(f"  {end:9}{value:14.6g} ± {residual:.1e}")
    if report.trace:
        total = report.trace.total
        print(f"Trace {total.value:.6g} ± {total.error:.2g} (standard error).")
    if report.density:
        density = report.density
        print(
            f"Spectrum from {density.lowest:.4g} to {density.highest:.4g}, "
            f"{len(density.outliers)} eigenvalues stand out."
        )
    for layer in report.layers or ():
        print(
            f"  {layer.name:24} λ_max {layer.eigenvalue:11.4g} ± {layer.residual:.0e}"
            f"   trace {layer.trace:11.4g} ± {layer.trace_error:.2g}"
        )
    for measure in report.sharpness or ():
        shown = "not measured" if measure.value is None else f"{measure.value:.6g}"
        error = f" ± {measure.error:.1e}" if measure.error else ""
        print(f"  {MEASURES[measure.name].title:24} {shown}{error}")
