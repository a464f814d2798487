"""Curvature: eigenvalues, density, trace and sharpness at a network's weights."""

import json
import time
from collections.abc import Sequence
from typing import ClassVar

from samar.curvature.result import Report
from samar.curvature.settings import CurvatureSettings
from samar.errors import DataError
from samar.jobs.job import Job, job_dir
from samar.jobs.kind import Kind, importing
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.networks.load import load_pinned, pinned_one
from samar.networks.settings import NetworkSettings

REPORT, ESTIMATE = "report", "estimate"
"""Kind of the artifact, and of the events that hold eigenvalues on their way."""
ESTIMATE_SECONDS = 0.05
FIRST_TOP, FIRST_TOLERANCE = 5, 0.05


class CurvatureJobSettings(CurvatureSettings, NetworkSettings):
    """What to measure of which network."""

    kind: ClassVar[str] = "curvature"
    verb: ClassVar[str] = "hessian"

    @property
    def described(self) -> str:
        """The network."""
        return f"curvature of {self.network}"

    @property
    def first(self) -> "CurvatureJobSettings | None":
        """The largest eigenvalues from few images, to a residual of 5 %, and nothing besides."""
        top = min(FIRST_TOP, self.top)
        return self.from_few("split", "seed", "matrix", top=top, tol=FIRST_TOLERANCE)


def work(settings: CurvatureJobSettings, work: Work) -> None:
    """Measure, with estimates of the eigenvalues while they converge."""
    from samar.curvature.product import batch_size_on
    from samar.curvature.report import measure, product_of
    from samar.device.placement import described, use_fitting_threads

    (network,) = load_pinned(work, settings)
    use_fitting_threads(network.macs * settings.images)
    device = next(network.model.parameters()).device
    piece = batch_size_on(device)
    work.note(device=described(device))
    images = min(settings.images, len(getattr(network.dataset, settings.split)))
    products = shown = batches = 0
    told = 0.0

    def emit(values: Sequence[float], residuals: Sequence[float]) -> None:
        nonlocal shown
        shown = products
        work.emit(ESTIMATE, products, values=list(values), residuals=list(residuals))

    def estimate(values: Sequence[float], residuals: Sequence[float]) -> None:
        nonlocal products, told
        products += 1
        if time.monotonic() - told > ESTIMATE_SECONDS:
            told = time.monotonic()
            emit(values, residuals)

    def progress(done: int, most: int, what: str) -> None:
        work.note(total=most)  # 0, where nobody knows how many it takes
        work.progress(done, doing=what)

    def batch() -> None:
        """Until the first product is there, how much of the gradient is."""
        nonlocal batches
        work.check()
        if batches * piece < images:
            progress(batches * piece, images, "Gradient: images")
        elif (batches - 1) * piece < images:
            progress(0, 0, f"{product_of(settings.matrix)} 1 (stops when accurate)")
        batches += 1

    report = measure(
        network.model,
        network.dataset,
        settings,
        facts={"subject": network.title, **network.facts},
        device=device,
        progress=progress,
        on_estimate=estimate,
        on_batch=batch,
    )
    spectrum = report.spectrum
    progress(spectrum.products, spectrum.products, "")
    if products > shown:  # the last estimate is the result, however quickly it came
        emit(spectrum.values, spectrum.residuals)
    keep_report(work, report)


def keep_report(work: Work, report: Report) -> None:
    """Keep a report, and its numbers on the job's row."""
    content, spectrum = report.as_json(), report.spectrum
    names = ("products", "converged", "loss")
    numbers = {name: getattr(spectrum, name) for name in names}
    numbers |= {"eigenvalues": list(spectrum.values), "residuals": list(spectrum.residuals)}
    work.keep(REPORT, json.dumps(content).encode(), "report.json", summary=numbers)
    work.summarize(**numbers, **({"trace": content["trace"]} if report.trace else {}))


def report_of(store: Store, job: Job) -> Report:
    """What a finished job found.

    Raises:
        DataError: its report is gone or damaged.
    """
    try:
        kept = store.records.artifacts(job.key, REPORT)[-1]
        content = json.loads((job_dir(job.id) / kept.path).read_bytes())
    except (OSError, ValueError, IndexError):
        raise DataError(f"The report of job {job.id} cannot be read; measure it anew.") from None
    return Report.from_json(content)


KIND = Kind(
    "curvature",
    "Curvature",
    "Top eigenvalues, density and trace of the Hessian or another curvature matrix at a network's "
    "weights.",
    CurvatureJobSettings,
    work,
    prepare=pinned_one,
    reused=True,
    rehearse=importing("samar.curvature.report"),
)
