"""What a script measured and gave to the store, as a figure."""

from typing import Any

import streamlit as st

from samar.charts.connectivity import paths_figure
from samar.charts.curvature import density_figure, eigenvalue_figure
from samar.charts.landscape.figures import contour_figure, slices_figure, surface_figure
from samar.charts.landscape.scale import shared_scale
from samar.errors import DataError
from samar.jobs.job import Job
from samar.kinds.connectivity import PATHS, connection_of
from samar.kinds.curvature import REPORT, report_of
from samar.landscapes.result import Landscape
from samar.web.measuring.landscape import landscape_of
from samar.web.plotly_chart import plotly_chart
from samar.web.service import service
from samar.web.text import plain

HEIGHT = 420


def picture(job: Job) -> None:
    """Draw a landscape, eigenvalues and density, or paths."""
    if service().store.records.artifacts(job.key, REPORT):
        try:
            named = [(job.title, report_of(service().store, job))]
        except DataError as error:
            st.warning(plain(str(error)), icon=":material/broken_image:")
            return
        figures = [eigenvalue_figure(named)]
        figures += [density_figure(named)] if named[0][1].density else []
    elif service().store.records.artifacts(job.key, PATHS):
        try:
            connection = connection_of(service().store, job)
        except DataError as error:
            st.warning(plain(str(error)), icon=":material/broken_image:")
            return
        assert connection is not None
        split = connection.splits[0]
        figures = [paths_figure(connection, split, each) for each in ("loss", "accuracy")]
    elif (found := landscape_of(service().store, job)) is not None:
        figures = _of_landscape(found, job.title)
    else:
        st.warning("Its file is gone or damaged.", icon=":material/broken_image:")
        return
    for number, (figure, place) in enumerate(zip(figures, st.columns(len(figures)), strict=True)):
        with place:
            plotly_chart(figure, key=f"picture_{job.id}_{number}", height=HEIGHT)


def _of_landscape(found: Landscape, title: str) -> list[Any]:
    """Surface and contour map of a plane; a line."""
    scale = shared_scale([found], "loss", found.lowest > 0)
    if found.is_plane:
        return [surface_figure(found, scale, title), contour_figure(found, scale, title)]
    return [slices_figure([(title, found)], scale)]
