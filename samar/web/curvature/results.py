"""What was measured: figures, table of sharpness, where it came from, files to take away."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from samar.charts.curvature import (
    convergence_figure,
    density_figure,
    eigenvalue_figure,
    layers_figure,
)
from samar.curvature.catalog import MEASURES
from samar.curvature.result import Report
from samar.jobs.job import Job
from samar.jobs.records import Event
from samar.web.plotly_chart import plotly_chart
from samar.web.service import service
from samar.web.text import plain

LAYER_PIXELS = 22


def show_estimates(job: Job) -> None:
    """Draw the eigenvalues of a job at work, as far as it knows them."""
    found = _estimates(job.key, job.claim)
    found += service().store.records.events(job.key, after=found[-1].key if found else 0)
    own = [{"product": e.step, **e.detail} for e in found if e.at >= (job.started or 0.0)]
    chart = f"curvature_estimates_{job.id}"
    if own:
        plotly_chart(convergence_figure(own), key=chart, height=340)


@st.cache_resource(max_entries=16, show_spinner=False)
def _estimates(key: int, claim: int) -> list[Event]:
    """Of one process that works on a job; grows as it is read."""
    return []


def show_reports(named: Sequence[tuple[str, Report]], jobs: Sequence[Job]) -> None:
    """Draw everything that the reports of finished jobs hold."""
    with st.container(key="curvature_summary"):
        for title, report in named:
            st.markdown(_summary(title, report))
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
    left, right = st.columns(2)
    with left:
        plotly_chart(eigenvalue_figure(named), key="curvature_chart_eigenvalues", height=340)
    with right:
        if any(report.density for _, report in named):
            plotly_chart(density_figure(named), key="curvature_chart_density", height=340)
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
        content = json.dumps({title: report.as_json() for title, report in named}, indent=2)
        options: dict[str, Any] = {"on_click": "ignore", "icon": ":material/download:"}
        st.download_button("JSON", content, "curvature.json", "application/json", **options)
        st.download_button("CSV", _csv(named), "curvature.csv", "text/csv", **options)
    with st.expander("Manifest"):
        for title, report in named:
            st.json({title: report.manifest})


def _summary(title: str, report: Report) -> str:
    spectrum = report.spectrum
    parts = [
        f"**{plain(title)}**",
        f"largest eigenvalue h₁ {spectrum.values[0]:.5g} ± {spectrum.residuals[0]:.0e}",
        f"{spectrum.products} products in {spectrum.seconds:.1f} s",
        f"loss {spectrum.loss:.5g} on {report.images} images",
    ]
    if report.trace:
        total = report.trace.total
        parts.insert(2, f"trace {total.value:.5g} ± {total.error:.2g} (standard error)")
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
                values[title] = _value(found.value, found.error)
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
            ("largest", spectrum.values, spectrum.residuals),
            ("smallest", spectrum.lowest, spectrum.lowest_residuals),
        )
        for end, values, residuals in ends:
            rows += [
                {"network": title, "end": end, "rank": i + 1, "eigenvalue": v, "residual": r}
                for i, (v, r) in enumerate(zip(values, residuals, strict=True))
            ]
    return str(pd.DataFrame(rows).to_csv(index=False))
