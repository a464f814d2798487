"""What was measured: figures, table of sharpness, where it came from, files to export."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from samar.charts.curvature import (
    convergence_figure,
    density_figure,
    eigenvalue_figure,
    layers_figure,
)
from samar.curvature.catalog import COVARIANCE, ENCLOSED, HESSIAN, MATRICES, MEASURES
from samar.curvature.noise import noise_words
from samar.curvature.result import Report, Spectrum
from samar.jobs.job import Job
from samar.kinds.curvature import ESTIMATE, FIRST_TOLERANCE
from samar.settings.command import json_line
from samar.web.measuring import images_there
from samar.web.plotly_chart import plotly_chart
from samar.web.service import service
from samar.web.text import plain

SUMS = (
    "An eigenvector is fitted to the images it was measured on, so that its eigenvalue is too "
    "large on average; on other images the curvature along it has no such bias, and no direction "
    "is more curved than the largest eigenvalue. For the largest k it is their sum that lies "
    "between: a single later eigenvalue need not."
)
LAYER_PIXELS = 22
HEIGHT = 380


def show_at_work(first: Mapping[str, tuple[str, Report]], job: Job) -> None:
    """Draw the eigenvalues of a job at work, as far as it knows them.

    Args:
        first: by the job's id, the first result that it will replace, with its title.
    """
    found = estimates_of(job)
    named = [first[job.id]] if job.id in first else []
    if found:
        newest = found[-1]
        images = images_there(job.settings)
        title = f"{images:,} images, product {newest['product']}"
        named.append((title, _unfinished(newest, images)))
    elif not named and job.status == "queued":
        return
    left, right = st.columns(2)
    with left:
        if named:
            key = f"curvature_now_{job.id}"
            plotly_chart(eigenvalue_figure(named), key=key, height=HEIGHT)
    with right if named else left:
        _convergence(job, found)


def estimates_of(job: Job) -> list[dict[str, Any]]:
    """What a job knew of its eigenvalues after each product."""
    found = service().store.records.events(job.key)
    begun = job.started or 0.0
    return [{"product": e.step, **e.detail} for e in found if e.kind == ESTIMATE and e.at >= begun]


def _convergence(job: Job, found: Sequence[Mapping[str, Any]]) -> None:
    figure = convergence_figure(found, images_there(job.settings))
    plotly_chart(figure, key=f"curvature_estimates_{job.id}", height=HEIGHT)


def _unfinished(estimate: Mapping[str, Any], images: int) -> Report:
    """A report of eigenvalues on their way."""
    spectrum = Spectrum(
        values=tuple(estimate["values"]),
        residuals=tuple(estimate["residuals"]),
        vectors=None,
        lowest=(),
        lowest_residuals=(),
        products=estimate["product"],
        converged=False,
        loss=float("nan"),
        seconds=0.0,
    )
    return Report(spectrum, None, None, None, None, images, 0.0, {})


def show_eigenvalues(named: Sequence[tuple[str, Report]], jobs: Sequence[Job]) -> None:
    """Draw the eigenvalues of finished jobs, beside the density, or else how they converged."""
    left, right = st.columns(2)
    # A single network is named below; over a narrow chart there is no room for it.
    short = [(f"{report.images:,} images", report) for _, report in named]
    figure = eigenvalue_figure(short if len(named) == 1 else named)
    with left:
        plotly_chart(figure, key="curvature_chart_eigenvalues", height=HEIGHT)
    with right:
        if any(report.density for _, report in named):
            plotly_chart(density_figure(named), key="curvature_chart_density", height=HEIGHT)
        elif len(jobs) == 1 and (found := estimates_of(jobs[0])):
            _convergence(jobs[0], found)


def show_summary(named: Sequence[tuple[str, Report]], jobs: Sequence[Job]) -> None:
    """Say what finished jobs found, and when."""
    with st.container(key="curvature_summary"):
        for title, report in named:
            st.markdown(_summary(title, report))
        if any(report.held_out is not None for _, report in named):
            st.caption(ENCLOSED, help=SUMS)
        if rough := [plain(title) for title, report in named if not report.spectrum.converged]:
            st.warning(
                f"{'; '.join(rough)}: some residuals are above the tolerance; the error bars say "
                "how wrong each eigenvalue may be.",
                icon=":material/warning:",
            )
        when = max(job.finished or 0.0 for job in jobs)
        date = time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
        seconds = sum(report.seconds for _, report in named)
        devices = ", ".join(sorted({str(job.device) for job in jobs}))
        st.caption(f"Measured on {date} in {seconds:.1f} s on {plain(devices)}.")


def show_first(named: Sequence[tuple[str, Report]], asked: int) -> None:
    """Say what first results are worth.

    Args:
        asked: how many images were asked for.
    """
    with st.container(key="curvature_first"):
        for title, report in named:
            st.markdown(_summary(title, report))
        st.caption(
            f"A first result, to a residual of {FIRST_TOLERANCE:.0%}: few images tell the size of "
            f"the eigenvalues and little more. **Compute** measures on {asked:,} images."
        )


def show_rest(named: Sequence[tuple[str, Report]]) -> None:
    """Draw what else the reports of finished jobs hold."""
    layers = max(len(report.layers or ()) for _, report in named)
    if layers:
        height = 110 + LAYER_PIXELS * layers * sum(bool(report.layers) for _, report in named)
        for column, quantity in zip(st.columns(2), ("eigenvalue", "trace"), strict=True):
            with column:
                figure = layers_figure(named, quantity)
                plotly_chart(figure, key=f"curvature_chart_{quantity}", height=height)
    if any(report.sharpness for _, report in named):
        _sharpness(named)


def show_footer(named: Sequence[tuple[str, Report]]) -> None:
    """Manifest and downloads."""
    with st.container(horizontal=True, key="curvature_downloads"):
        content = json_line({title: report.as_json() for title, report in named}, indent=2)
        options: dict[str, Any] = {"on_click": "ignore", "icon": ":material/download:"}
        st.download_button("JSON", content, "curvature.json", "application/json", **options)
        st.download_button("CSV", _csv(named), "curvature.csv", "text/csv", **options)
    with st.expander("Manifest"):
        for title, report in named:
            st.json({title: report.manifest})


def _summary(title: str, report: Report) -> str:
    spectrum = report.spectrum
    info = MATRICES[report.matrix]
    of = "" if report.matrix == HESSIAN else f" of the {info.title} matrix {info.symbol}"
    parts = [
        f"**{plain(title)}**",
        f"{report.end(spectrum.values[0])} eigenvalue{of} h₁ {spectrum.values[0]:.5g} ± "
        f"{spectrum.residuals[0]:.0e}",
        f"{spectrum.products} matrix-vector products in {spectrum.seconds:.1f} s",
        f"loss {spectrum.loss:.5g} on {report.images} images",
    ]
    if report.trace:
        total = report.trace.total
        parts.insert(2, f"trace {total.value:.5g} ± {total.error:.2g} (standard error)")
    if report.matrix == COVARIANCE and report.trace:
        parts.insert(3, noise_words(report))
    if report.held_out is not None:
        first = report.held_out[0]
        value = f"{first.value:.5g} ± {first.error:.2g}"
        parts.insert(2, f"on {report.others:,} other images {value} (standard error)")
    if report.gauss_newton is not None:
        known = zip(report.gauss_newton, spectrum.values, spectrum.residuals, strict=True)
        shares = ", ".join(
            f"{part / value:.0%}".replace("%", " %") if value > residual else "–"
            for part, value, residual in known
        )
        parts.insert(2, f"of it Gauss–Newton {shares} (h₁, h₂, …)")
    if report.density:
        low, high = report.density.lowest, report.density.highest
        parts.insert(-2, f"spectrum {low:.4g} to {high:.4g}".replace("-", "−"))
    return " · ".join(parts)


def _sharpness(named: Sequence[tuple[str, Report]]) -> None:
    st.subheader("Everything that is called sharpness", anchor=False)
    rows = []
    for name, info in MEASURES.items():
        values = {}
        for title, report in named:
            found = {measure.name: measure for measure in report.sharpness or ()}.get(name)
            if found:
                values[plain(title)] = _value(found.value, found.error)
        kept = "yes" if info.invariant else "no"
        notes = {"same after rescaling layers": kept, "cost": info.cost, "caveat": info.caveat}
        rows.append(
            {"measure": info.title} | values | notes | {"definition": f"${info.definition}$"}
        )
    st.table(pd.DataFrame(rows).set_index("measure"))
    st.caption(
        "h₁ and most others change when a ReLU network's layers are rescaled, although the "
        "function does not (Dinh et al. 2017). Compare networks by those that stay the same."
    )


def _value(value: float | None, error: float) -> str:
    if value is None:
        return "turn on Trace, or ask for 5 eigenvalues"
    return f"{value:.4g} ± {error:.1g}" if error else f"{value:.4g}"


def _csv(named: Sequence[tuple[str, Report]]) -> str:
    """Every eigenvalue, one line each."""
    rows = []
    for title, report in named:
        spectrum = report.spectrum
        ends = (
            (report.end, spectrum.values, spectrum.residuals),
            (lambda _: "smallest", spectrum.lowest, spectrum.lowest_residuals),
        )
        for end, values, residuals in ends:
            rows += [
                {"network": title, "matrix": report.matrix, "end": end(v), "rank": i + 1}
                | {"eigenvalue": v, "residual": r}
                | (_besides(report, i) if values is spectrum.values else {})
                for i, (v, r) in enumerate(zip(values, residuals, strict=True))
            ]
    return str(pd.DataFrame(rows).to_csv(index=False))


def _besides(report: Report, rank: int) -> dict[str, float]:
    """What else was measured along an eigenvector."""
    found = {}
    if report.gauss_newton is not None:
        found["gauss_newton"] = report.gauss_newton[rank]
    if report.held_out is not None:
        found["held_out"] = report.held_out[rank].value
        found["held_out_error"] = report.held_out[rank].error
        found["held_out_images"] = report.others
    return found
