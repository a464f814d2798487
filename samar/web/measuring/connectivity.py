"""Connectivity: paths of low loss between two trained networks, their barriers and planes."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd
import streamlit as st

from samar.charts.connectivity import paths_figure, plane_figure, training_figure
from samar.charts.html.connectivity import standalone_html
from samar.charts.landscape.scale import shared_scale
from samar.connectivity.catalog import SPLIT_TITLES, path_title
from samar.connectivity.result import Barrier, Connection
from samar.kinds.connectivity import ConnectivityJobSettings, connection_of, planes_of
from samar.landscapes.result import Landscape
from samar.settings.command import json_line
from samar.web.controls import draw_settings
from samar.web.measuring.networks import NetworkChoice, Source
from samar.web.measuring.page import (
    Files,
    Measurement,
    Results,
    Wanted,
    saved,
    show_exports,
    show_heading,
)
from samar.web.plotly_chart import plotly_chart
from samar.web.service import service
from samar.web.text import plain

PREFIX = "c_"
HEIGHT, PLANE_HEIGHT, TRAINING_HEIGHT = 440, 420, 300
CLEAR = 2.0
"""Standard errors above 0 from which on a rise is called a barrier."""


def _choose(source: str, networks: Sequence[NetworkChoice]) -> list[Wanted]:
    values = draw_settings(ConnectivityJobSettings, PREFIX)
    if not networks:
        return []
    first, second = networks
    values |= first.values | {"other": second.what}
    settings = ConnectivityJobSettings.parse(values)
    return [Wanted(settings, f"{first.title} to {second.title}")]


def _show(results: Results[Connection]) -> None:
    (answer,) = results.answers
    if answer is None:
        results.watch()
        return
    connection, planes = answer.result, planes_of(service().store, answer.job)
    with st.container(key="c_barriers"):
        with st.container(horizontal=True, vertical_alignment="center"):
            show_heading(answer)
        _show_barriers(connection)
    results.watch()
    for split in connection.splits:
        for column, quantity in zip(st.columns(2), ("loss", "accuracy"), strict=True):
            with column:
                figure = paths_figure(connection, split, quantity)
                plotly_chart(figure, key=f"c_{quantity}_{split}", height=HEIGHT)
    _show_planes(planes)
    if any(len(path.training) for path in connection.paths):
        with st.expander("Training of the bend"):
            figure = training_figure(connection.paths)
            plotly_chart(figure, key="c_training", height=TRAINING_HEIGHT)
    st.caption(plain(_manifest(connection)))
    files = exports(connection, planes, answer.wanted.title)
    show_exports("connectivity", files, key="c_export")


def _show_barriers(connection: Connection) -> None:
    """Draw what came out, in a sentence and a table."""
    st.markdown(" ".join(_sentences(connection)))
    rows = []
    for path in connection.paths:
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


def _show_planes(planes: Mapping[bool, Landscape]) -> None:
    """Draw the planes through both networks and the bends, side by side at one scale."""
    if not planes:
        return
    scale = shared_scale(list(planes.values()), "loss", True)
    for column, (aligned, plane) in zip(st.columns(2), planes.items(), strict=False):
        figure = plane_figure(plane, scale, path_title(plane.manifest["curve"], aligned))
        with column:
            plotly_chart(figure, key=f"c_plane_{int(aligned)}", height=PLANE_HEIGHT)
    facts = next(iter(planes.values())).manifest
    st.caption(
        f"The plane through both networks and the bend, with the curve on it: loss on "
        f"{facts['images']:,} {SPLIT_TITLES[facts['split']]}, logarithmic colours. Its axes are "
        "orthogonal and have one unit, the distance between the networks. All other directions "
        "are left out: two networks that look apart here need not be."
    )


def _manifest(connection: Connection) -> str:
    """How the paths were measured."""
    facts = connection.manifest
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
    return " · ".join(parts)


def exports(connection: Connection, planes: dict[bool, Landscape], title: str) -> Files:
    """The files to export."""
    facts = connection.manifest | connection.summary()
    return {
        "npz": partial(saved, connection),
        "csv": connection.to_csv,
        "json": partial(json_line, facts, indent=2),
        "html": partial(standalone_html, connection, planes, title),
    }


def _sentences(connection: Connection) -> list[str]:
    """What the barriers say, on the first set of images."""
    split = connection.splits[0]
    sentences = [f"On {SPLIT_TITLES[split]}:"]
    for path in connection.paths:
        barrier = path.barrier(split)
        if math.isnan(barrier.value):
            sentences.append(f"{path.title}: the loss is not finite everywhere.")
        elif math.isnan(barrier.error):
            sentences.append(f"{path.title}: barrier {_barrier(barrier)}, of one image.")
        elif barrier.rise > CLEAR * barrier.error:
            sentences.append(f"{path.title}: barrier {_barrier(barrier)}.")
        else:
            sentences.append(f"{path.title}: **no clear barrier**.")
    if connection.manifest.get("moved") == 0:
        sentences.append(
            "The best order of the second network's neurons is the one that they have, so "
            "aligning changes nothing."
        )
    return sentences


def _barrier(barrier: Barrier) -> str:
    if math.isnan(barrier.error):
        return f"{barrier.value:.3f}"
    places = 3 if barrier.error <= 0 else max(3, 1 - math.floor(math.log10(barrier.error)))
    return f"{barrier.value:.{places}f} ± {barrier.error:.{places}f}"


def _percent(barrier: Barrier) -> str:
    return f"{100 * barrier.value:.1f} ± {100 * barrier.error:.1f} %"


CONNECTIVITY = Measurement(
    ConnectivityJobSettings,
    PREFIX,
    {
        "runs": Source("two networks", ("c_run", "c_run2")),
        "files": Source("two files", ("c_file", "c_file2"), files=True),
    },
    choose=_choose,
    load=connection_of,
    show=_show,
    introduction="Two networks that were trained apart lie far from each other. On the straight "
    "line between them the loss mostly rises: a barrier. It can vanish in two ways: the second "
    "network's neurons are put into the order of the first's, which changes nothing of what it "
    "computes; or the path is bent. Choose two networks and press **Compute**.",
)
