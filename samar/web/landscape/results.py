"""The Landscape page's figures and what stands under them."""

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from samar.charts.html.landscape import standalone_html
from samar.charts.landscape.figures import contour_figure, slices_figure, surface_figure
from samar.charts.landscape.scale import shared_scale
from samar.errors import DataError
from samar.jobs.files import job_dir
from samar.jobs.job import Job
from samar.kinds.landscape import LEVEL, PREVIEW
from samar.landscape.catalog import BATCHNORM
from samar.landscape.export import can_write_vtp, to_csv, to_vtp
from samar.landscape.result import Landscape
from samar.web.landscape.choice import Wanted
from samar.web.plotly_chart import plotly_chart
from samar.web.service import service
from samar.web.text import plain

CONTOUR_RATIO = 0.66
"""A square with its colour bar at its side, which is as high as the chart."""


def landscape_of(job: Job) -> Landscape | None:
    """The finest level that a job has kept; of equally fine ones the exact one, not the preview."""
    kept = service().store.records.artifacts(job.key)
    levels = [artifact for artifact in kept if artifact.kind in (LEVEL, PREVIEW)]
    if not levels:
        return None
    finest = max(levels, key=lambda artifact: (artifact.step, artifact.kind == LEVEL))
    return _load(job_dir(job.id) / finest.path, finest.at)


@st.cache_resource(max_entries=16, show_spinner=False)
def _load(path: Path, at: float) -> Landscape | None:
    try:
        return Landscape.load(path)
    except DataError:  # the file was deleted by hand
        return None


def show_landscapes(
    wanted: Sequence[Wanted], landscapes: Sequence[Landscape | None], quantity: str, log: bool
) -> None:
    """Surfaces, contour maps and slices at one scale; the place of a missing one stays empty."""
    named = [(w, found) for w, found in zip(wanted, landscapes, strict=True) if found is not None]
    scale = shared_scale([landscape for _, landscape in named], quantity, log)
    one = len(wanted) == 1
    columns = st.columns(max(2, len(wanted))) if named[0][1].is_plane else []
    for number, (each, landscape) in enumerate(zip(wanted, landscapes, strict=True)):
        if landscape is None or not landscape.is_plane:
            continue
        with columns[number]:
            plotly_chart(
                surface_figure(landscape, scale, each.title),
                key=f"surface_{number + 1}",
                height=460,
                link="surfaces",
                uirevision="surfaces",
            )
        with columns[1 if one else number]:
            plotly_chart(
                contour_figure(landscape, scale, each.title),
                key=f"contour_{number + 1}",
                height=460 if one else 380,
                ratio=CONTOUR_RATIO,
                link="contours",
            )
    titled = [(each.title, landscape) for each, landscape in named]
    optimizers = [each.optimizer for each, _ in named]
    plotly_chart(slices_figure(titled, scale, optimizers), key="slices", height=300)


def show_footer(number: int, wanted: Wanted, job: Job, landscape: Landscape) -> None:
    """What was measured, when and how, the numbers, and files to export."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(wanted.title)}**", width="content")
        if landscape.manifest["precision"] == "fp32":
            st.badge(f"measured{_when(job)}", icon=":material/check:", color="green")
        else:
            st.badge(f"preview{_when(job)}", icon=":material/hourglass_top:", color="orange")
        st.markdown(_numbers(landscape), width="content")
    st.caption(_manifest(landscape))
    st.caption(" ".join(_reading(landscape)))
    stem = "landscape-" + "".join(c if c.isalnum() else "-" for c in wanted.settings.network)[-32:]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Export", width="content")
        for kind, (content, mime) in exports(wanted.title, landscape).items():
            st.download_button(
                kind.upper(),
                content,
                f"{stem}.{kind}",
                mime,
                key=f"l_{kind}_{number + 1}",
                on_click="ignore",
                icon=":material/download:",
            )


def exports(title: str, landscape: Landscape) -> dict[str, tuple[Callable[[], str | bytes], str]]:
    """What makes each kind of file, and its media type."""

    def npz() -> bytes:
        content = io.BytesIO()
        landscape.save(content)
        return content.getvalue()

    kinds: dict[str, tuple[Callable[[], str | bytes], str]] = {
        "npz": (npz, "application/octet-stream"),
        "csv": (lambda: to_csv(landscape), "text/csv"),
        "html": (lambda: standalone_html([(title, landscape)]), "text/html"),
    }
    if landscape.is_plane and can_write_vtp():
        kinds["vtp"] = (lambda: to_vtp(landscape), "application/xml")
    return kinds


def _when(job: Job) -> str:
    if job.status != "finished" or job.finished is None:
        return ""
    return time.strftime(" on %d %b %Y, %H:%M", time.localtime(job.finished))


def _numbers(landscape: Landscape) -> str:
    numbers = landscape.summary()
    parts = [f"loss {numbers['centre_loss']:.4f} at the centre"]
    parts.append(f"{numbers['min_loss']:.4f} to {numbers['max_loss']:.4g} around it")
    if "climb_within_rho" in numbers:
        parts.append(f"climbs {numbers['climb_within_rho']:+.4f} within ρ")
    if "barrier" in numbers:
        parts.append(f"barrier {numbers['barrier']:.4f}")
    return " · ".join(parts)


def _manifest(landscape: Landscape) -> str:
    facts = landscape.manifest
    seed = f" seed {facts['seed']}" if "seed" in facts else ""
    norms = ", ".join(f"{norm:.3g}" for norm in facts["norms"])
    parts = [f"directions: {facts['directions']}{seed}, norms {norms}"]
    if facts["cosine"] is not None:
        parts.append(f"cosine {facts['cosine']:+.3f}")
    parts.append(f"BatchNorm: {BATCHNORM[facts['batchnorm']]}")
    parts.append(f"{facts['images']:,} {facts['split']} images")
    grid = " × ".join([str(facts["points"])] * facts["dim"])
    parts.append(f"{facts['precision']}, {grid} points")
    parts.append(f"{facts['forwards']:,} forwards in {facts['seconds']:.1f} s on {facts['device']}")
    parts.append(f"samar {facts['samar']}, torch {facts['torch']}")
    return plain(" · ".join(parts))


def _reading(landscape: Landscape) -> list[str]:
    """What to keep in mind before this picture."""
    facts, kind = landscape.manifest, landscape.manifest["directions"]
    words = []
    if kind == "hessian":
        pairs = zip(facts["eigenvalues"], facts["residuals"], strict=True)
        values = ", ".join(f"{value:.4g} ± {residual:.1g}" for value, residual in pairs)
        words.append(
            f"Eigenvalues {values} (± residual; {facts['products']} products on "
            f"{facts['eigenvector_images']} images). Every other direction is flatter."
        )
    elif kind == "pca":
        shares = " and ".join(f"{share:.1%}" for share in facts["explained"])
        words.append(
            f"The axes explain {shares} of the path's variance; those of a random walk in many "
            "dimensions would be high too."
        )
    elif kind != "between":
        words.append(
            "A random plane almost never contains the directions in which the loss curves most: "
            "read it beside the Hessian's eigenvalues."
        )
    if landscape.trail is not None:
        words.append(
            f"Networks lie up to {landscape.trail.off_plane.max():.3g} off the picture and are "
            "coloured by their own loss."
        )
    return words
