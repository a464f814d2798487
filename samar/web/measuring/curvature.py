"""Curvature: eigenvalues, density, trace and sharpness at the weights of one network or two."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from samar.charts.curvature import (
    convergence_figure,
    density_figure,
    eigenvalue_figure,
    layers_figure,
)
from samar.curvature.catalog import (
    COVARIANCE,
    ENCLOSED,
    ENGINES,
    HESSIAN,
    LANCZOS,
    MATRICES,
    MEASURES,
)
from samar.curvature.noise import noise_words
from samar.curvature.result import Report, Spectrum
from samar.jobs.job import Job
from samar.jobs.store import Store
from samar.kinds.curvature import ESTIMATE, FIRST_TOLERANCE, CurvatureJobSettings, report_of
from samar.settings.command import json_line
from samar.web.controls import draw_settings
from samar.web.measuring.jobs import images_there
from samar.web.measuring.networks import NetworkChoice, Source
from samar.web.measuring.page import (
    Answer,
    Measurement,
    Results,
    Wanted,
    show_exports,
    show_heading,
)
from samar.web.plotly_chart import plotly_chart
from samar.web.service import service
from samar.web.text import plain

Named = Sequence[tuple[str, Report]]
"""Reports with their titles."""
PREFIX = "curvature_"
BOTH = "both"
SUMS = (
    "An eigenvector is fitted to the images it was measured on, so that its eigenvalue is too "
    "large on average; on other images the curvature along it has no such bias, and no direction "
    "is more curved than the largest eigenvalue. For the largest k it is their sum that lies "
    "between: a single later eigenvalue need not."
)
LAYER_PIXELS = 22
HEIGHT = 380


def _choose(source: str, networks: Sequence[NetworkChoice]) -> list[Wanted]:
    values = draw_settings(CurvatureJobSettings, PREFIX, {"engine": (*ENGINES, BOTH)})
    engine = values.get("engine", LANCZOS)
    engines = tuple(ENGINES) if engine == BOTH else (engine,)
    different = list(dict.fromkeys(networks))
    if len(different) < len(networks):
        st.caption("Both are the same network; choose another to compare.")
    wanted = []
    for network in different:
        for engine in engines:
            chosen = values | network.values | {"engine": engine}
            useful = CurvatureJobSettings.model_construct(**chosen).without_idle()
            settings = CurvatureJobSettings.parse(useful.model_dump())
            title = f"{network.title}, {engine}" if len(engines) > 1 else network.title
            wanted.append(Wanted(settings, title))
    return wanted


def _load(store: Store, job: Job) -> Report | None:
    return report_of(store, job) if job.status == "finished" else None


def _show(results: Results[Report]) -> None:
    at_work = {
        answer.worker.id: (f"{answer.result.images} images", answer.result)
        for answer in results.there
        if answer.worker is not None
    }
    results.watch(partial(_show_at_work, at_work))
    answers = [answer for answer in results.there if answer.worker is None]
    if not answers:
        return
    named = [(_title(answer), answer.result) for answer in answers]
    _show_eigenvalues(named, answers[0].job)
    _show_summary(answers)
    _show_layers(named)
    if any(report.sharpness for _, report in named):
        _show_sharpness(named)
    content = {title: report.as_json() for title, report in named}
    files = {"json": partial(json_line, content, indent=2), "csv": partial(_csv, named)}
    show_exports("curvature", files, key="curvature_export")
    with st.expander("Manifest"):
        for title, report in named:
            st.json({title: report.manifest})


def _title(answer: Answer[Report]) -> str:
    title = answer.wanted.title
    return f"{title}, {answer.result.images} images" if answer.is_first else title


def _show_at_work(first: Mapping[str, tuple[str, Report]], job: Job) -> None:
    """Draw the eigenvalues of a job at work, as far as it knows them.

    Args:
        first: by the job's id, the first result that it will replace, with its title.
    """
    estimates = estimates_of(job)
    named = [first[job.id]] if job.id in first else []
    if estimates:
        newest = estimates[-1]
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
        _show_convergence(job, estimates)


def estimates_of(job: Job) -> list[dict[str, Any]]:
    """The eigenvalues that a job knew after each product."""
    events = service().store.records.events(job.key)
    begun = job.started or 0.0
    return [{"product": e.step, **e.detail} for e in events if e.kind == ESTIMATE and e.at >= begun]


def _show_convergence(job: Job, estimates: Sequence[Mapping[str, Any]]) -> None:
    figure = convergence_figure(estimates, images_there(job.settings))
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


def _show_eigenvalues(named: Named, job: Job) -> None:
    """Draw the eigenvalues, beside the density, or else how those of the only job converged."""
    left, right = st.columns(2)
    # A single network is named below; over a narrow chart there is no room for it.
    short = [(f"{report.images:,} images", report) for _, report in named]
    figure = eigenvalue_figure(short if len(named) == 1 else named)
    with left:
        plotly_chart(figure, key="curvature_chart_eigenvalues", height=HEIGHT)
    with right:
        if any(report.density for _, report in named):
            plotly_chart(density_figure(named), key="curvature_chart_density", height=HEIGHT)
        elif len(named) == 1 and (estimates := estimates_of(job)):
            _show_convergence(job, estimates)


def _show_summary(answers: Sequence[Answer[Report]]) -> None:
    """Draw what was found, when it was measured, and what it is worth."""
    with st.container(key="curvature_summary"):
        for answer in answers:
            with st.container(horizontal=True, vertical_alignment="center"):
                show_heading(answer)
            st.markdown(_summary(answer.result))
        reports = [answer.result for answer in answers]
        if any(report.held_out is not None for report in reports):
            st.caption(ENCLOSED, help=SUMS)
        rough = [
            plain(answer.wanted.title)
            for answer in answers
            if not answer.is_first and not answer.result.spectrum.converged
        ]
        if rough:
            st.warning(
                f"{'; '.join(rough)}: some residuals are above the tolerance; the error bars say "
                "how wrong each eigenvalue may be.",
                icon=":material/warning:",
            )
        if first := [answer.wanted.settings for answer in answers if answer.is_first]:
            st.caption(
                f"A first result, to a residual of {FIRST_TOLERANCE:.0%}: few images tell the size "
                f"of the eigenvalues and little more. **Compute** measures on "
                f"{images_there(first[0]):,} images."
            )
        else:
            seconds = sum(report.seconds for report in reports)
            devices = ", ".join(sorted({str(answer.job.device) for answer in answers}))
            st.caption(f"Measured in {seconds:.1f} s on {plain(devices)}.")


def _show_layers(named: Named) -> None:
    layers = max(len(report.layers or ()) for _, report in named)
    if not layers:
        return
    height = 110 + LAYER_PIXELS * layers * sum(bool(report.layers) for _, report in named)
    for column, quantity in zip(st.columns(2), ("eigenvalue", "trace"), strict=True):
        with column:
            figure = layers_figure(named, quantity)
            plotly_chart(figure, key=f"curvature_chart_{quantity}", height=height)


def _summary(report: Report) -> str:
    """The numbers of a report in one line."""
    spectrum, info = report.spectrum, MATRICES[report.matrix]
    of = "" if report.matrix == HESSIAN else f" of the {info.title} matrix {info.symbol}"
    largest, residual = spectrum.values[0], spectrum.residuals[0]
    parts = [f"{report.end(largest)} eigenvalue{of} h₁ {largest:.5g} ± {residual:.0e}"]
    if report.gauss_newton is not None:
        pairs = zip(report.gauss_newton, spectrum.values, spectrum.residuals, strict=True)
        shares = ", ".join(
            f"{part / value:.0%}".replace("%", " %") if value > residual else "–"
            for part, value, residual in pairs
        )
        parts.append(f"of it Gauss–Newton {shares} (h₁, h₂, …)")
    if report.held_out is not None:
        first = report.held_out[0]
        value = f"{first.value:.5g} ± {first.error:.2g}"
        parts.append(f"on {report.others:,} other images {value} (standard error)")
    if report.trace:
        total = report.trace.total
        parts.append(f"trace {total.value:.5g} ± {total.error:.2g} (standard error)")
        if report.matrix == COVARIANCE:
            parts.append(noise_words(report))
    if report.density:
        low, high = report.density.lowest, report.density.highest
        parts.append(f"spectrum {low:.4g} to {high:.4g}".replace("-", "−"))
    parts.append(f"{spectrum.products} matrix-vector products in {spectrum.seconds:.1f} s")
    parts.append(f"loss {spectrum.loss:.5g} on {report.images} images")
    return " · ".join(parts)


def _show_sharpness(named: Named) -> None:
    st.subheader("Everything that is called sharpness", anchor=False)
    rows = []
    for name, info in MEASURES.items():
        row: dict[str, str] = {"measure": info.title}
        for title, report in named:
            for measure in report.sharpness or ():
                if measure.name == name:
                    row[plain(title)] = _value(measure.value, measure.error)
        row["same after rescaling layers"] = "yes" if info.invariant else "no"
        row |= {"cost": info.cost, "caveat": info.caveat, "definition": f"${info.definition}$"}
        rows.append(row)
    st.table(pd.DataFrame(rows).set_index("measure"))
    st.caption(
        "h₁ and most others change when a ReLU network's layers are rescaled, although the "
        "function does not (Dinh et al. 2017). Compare networks by those that stay the same."
    )


def _value(value: float | None, error: float) -> str:
    if value is None:
        return "turn on Trace, or ask for 5 eigenvalues"
    return f"{value:.4g} ± {error:.1g}" if error else f"{value:.4g}"


def _csv(named: Named) -> str:
    """Every eigenvalue, one line each, with what else was measured along its eigenvector."""
    rows: list[dict[str, Any]] = []
    for title, report in named:
        spectrum, network = report.spectrum, {"network": title, "matrix": report.matrix}
        for index, (value, residual) in enumerate(
            zip(spectrum.values, spectrum.residuals, strict=True)
        ):
            row = network | {"end": report.end(value), "rank": index + 1}
            row |= {"eigenvalue": value, "residual": residual}
            if report.gauss_newton is not None:
                row["gauss_newton"] = report.gauss_newton[index]
            if report.held_out is not None:
                row["held_out"] = report.held_out[index].value
                row["held_out_error"] = report.held_out[index].error
                row["held_out_images"] = report.others
            rows.append(row)
        lowest = zip(spectrum.lowest, spectrum.lowest_residuals, strict=True)
        rows += [
            network | {"end": "smallest", "rank": rank, "eigenvalue": value, "residual": residual}
            for rank, (value, residual) in enumerate(lowest, 1)
        ]
    return str(pd.DataFrame(rows).to_csv(index=False))


CURVATURE = Measurement(
    CurvatureJobSettings,
    PREFIX,
    {
        "run": Source("one network", ("curvature_run1",)),
        "two": Source("two", ("curvature_run1", "curvature_run2")),
        "file": Source("a file", ("curvature_file",), files=True),
    },
    choose=_choose,
    load=_load,
    show=_show,
    several={"engine": BOTH},
    introduction="The Hessian says how the loss bends around the weights. Its largest eigenvalues "
    "are the sharpest directions, its trace the sum over all. Choose what to measure and press "
    "**Compute**; every number comes with its error.",
)
