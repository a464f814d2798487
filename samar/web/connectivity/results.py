"""What was measured between two networks: barriers, figures, planes, files to export."""

import io
import math
import time
from collections.abc import Callable

import pandas as pd
import streamlit as st

from samar.charts.connectivity import paths_figure, plane_figure, training_figure
from samar.charts.html.connectivity import standalone_html
from samar.charts.landscape.scale import shared_scale
from samar.connectivity.catalog import SPLIT_TITLES, path_title
from samar.connectivity.result import Barrier, Connection
from samar.jobs.job import Job
from samar.kinds.connectivity import connection_of, planes_of
from samar.landscapes.result import Landscape
from samar.settings.command import json_line
from samar.web.connectivity.choice import Wanted
from samar.web.plotly_chart import plotly_chart
from samar.web.service import service
from samar.web.text import plain

HEIGHT, PLANE_HEIGHT = 440, 420
CLEAR = 2.0
"""Standard errors above 0 from which on a rise is called a barrier."""


def show_barriers(wanted: Wanted, job: Job, *, rough: bool) -> None:
    """What came out, in a sentence and a table.

    Args:
        rough: whether it is a first result from few images.
    """
    found = _found(job)
    with st.container(key="c_barriers"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(wanted.first)}** to **{plain(wanted.second)}**", width="content")
            if rough:
                few = f"first result, {job.settings.images} images"
                st.badge(few, icon=":material/hourglass_top:", color="orange")
            elif job.status == "finished":
                st.badge(f"measured{_when(job)}", icon=":material/check:", color="green")
        st.markdown(" ".join(_sentences(found)))
        rows = []
        for path in found.paths:
            row: dict[str, str] = {"path": path.title}
            for split in path.along:
                title = SPLIT_TITLES[split]
                row[f"barrier of the loss, {title}"] = _barrier(path.barrier(split))
                row[f"fall of the accuracy, {title}"] = _percent(path.accuracy_barrier(split))
            rows.append(row)
        st.table(pd.DataFrame(rows).set_index("path"))
        st.caption(
            "Barrier: how far the loss on the path rises over the straight connection of its "
            "ends' losses, at the highest point measured. ± is the standard error over images, "
            "which are the same at every point; it says nothing of other networks, other bends or "
            "other alignments (another seed gives these)."
        )


def show_paths(job: Job) -> None:
    """Loss and accuracy along the paths."""
    found = _found(job)
    for split in found.splits:
        for column, quantity in zip(st.columns(2), ("loss", "accuracy"), strict=True):
            with column:
                figure = paths_figure(found, split, quantity)
                plotly_chart(figure, key=f"c_{quantity}_{split}", height=HEIGHT)


def show_planes(job: Job) -> None:
    """The planes through both networks and the bends, beside each other at one scale."""
    planes = planes_of(service().store, job)
    if not planes:
        return
    scale = shared_scale(list(planes.values()), "loss", True)
    for column, (aligned, plane) in zip(st.columns(2), planes.items(), strict=False):
        with column:
            title = path_title(plane.manifest["curve"], aligned)
            plotly_chart(
                plane_figure(plane, scale, title),
                key=f"c_plane_{int(aligned)}",
                height=PLANE_HEIGHT,
            )
    facts = next(iter(planes.values())).manifest
    st.caption(
        f"The plane through both networks and the bend, with the curve on it: loss on "
        f"{facts['images']:,} {SPLIT_TITLES[facts['split']]}, logarithmic colours. Its axes are "
        "orthogonal and have one unit, the distance between the networks. All other directions "
        "are left out: two networks that look apart here need not be."
    )


def show_training(job: Job) -> None:
    """How the bends were trained."""
    found = _found(job)
    if any(len(path.training) for path in found.paths):
        with st.expander("Training of the bend"):
            plotly_chart(training_figure(found.paths), key="c_training", height=300)


def show_footer(wanted: Wanted, job: Job) -> None:
    """How it was measured, and files to export."""
    found, planes = _found(job), planes_of(service().store, job)
    facts = found.manifest
    parts = [f"{count:,} {SPLIT_TITLES[name]}" for name, count in facts["images"].items()]
    parts.append(
        f"BatchNorm's statistics estimated anew at each point from "
        f"{facts['calibration_images']:,} training images"
    )
    parts.append(f"distance between the networks {facts['distance']:.4g}")
    if "aligned_distance" in facts:
        parts.append(
            f"{facts['aligned_distance']:.4g} aligned ({facts['moved']:,} of "
            f"{facts['neurons']:,} neurons moved)"
        )
    parts.append(f"{facts['precision']} on {facts['device']}")
    parts.append(f"samar {facts['samar']}, torch {facts['torch']}")
    st.caption(plain(" · ".join(parts)))
    with st.container(horizontal=True, vertical_alignment="center", key="c_exports"):
        st.markdown("Export", width="content")
        title = f"{wanted.first} to {wanted.second}"
        for kind, (content, mime) in _exports(found, planes, title).items():
            st.download_button(
                kind.upper(),
                content,
                f"connectivity.{kind}",
                mime,
                key=f"c_export_{kind}",
                on_click="ignore",
                icon=":material/download:",
            )


def _exports(
    found: Connection, planes: dict[bool, Landscape], title: str
) -> dict[str, tuple[Callable[[], str | bytes], str]]:
    """What makes each kind of file, and its media type."""

    def npz() -> bytes:
        content = io.BytesIO()
        found.save(content)
        return content.getvalue()

    return {
        "npz": (npz, "application/octet-stream"),
        "csv": (found.to_csv, "text/csv"),
        "json": (
            lambda: json_line(found.manifest | found.summary(), indent=2),
            "application/json",
        ),
        "html": (lambda: standalone_html(found, planes, title), "text/html"),
    }


def _found(job: Job) -> Connection:
    found = connection_of(service().store, job)
    assert found is not None
    return found


def _sentences(found: Connection) -> list[str]:
    """What the barriers say, on the first set of images."""
    split = found.splits[0]
    said = []
    for path in found.paths:
        barrier = path.barrier(split)
        if barrier.value != barrier.value:
            said.append(f"{path.title}: the loss is not finite everywhere.")
        elif barrier.error != barrier.error:
            said.append(f"{path.title}: barrier {_barrier(barrier)}, of one image.")
        elif barrier.rise > CLEAR * barrier.error:
            said.append(f"{path.title}: barrier {_barrier(barrier)}.")
        else:
            said.append(f"{path.title}: **no clear barrier**.")
    if found.manifest.get("moved") == 0:
        said.append(
            "The best order of the second network's neurons is the one that they have, so "
            "aligning changes nothing."
        )
    return [f"On {SPLIT_TITLES[split]}:", *said]


def _barrier(barrier: Barrier) -> str:
    if barrier.error != barrier.error:
        return f"{barrier.value:.3f}"
    places = 3 if not barrier.error > 0 else max(3, 1 - math.floor(math.log10(barrier.error)))
    return f"{barrier.value:.{places}f} ± {barrier.error:.{places}f}"


def _percent(barrier: Barrier) -> str:
    return f"{100 * barrier.value:.1f} ± {100 * barrier.error:.1f} %"


def _when(job: Job) -> str:
    return time.strftime(" on %d %b %Y, %H:%M", time.localtime(job.finished or job.created))
