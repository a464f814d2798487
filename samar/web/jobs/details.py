"""One job in full, for kinds that have no page of their own, and the way to those that have."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from samar.charts.connectivity import paths_figure
from samar.charts.curvature import density_figure, eigenvalue_figure
from samar.charts.landscape.figures import contour_figure, slices_figure, surface_figure
from samar.charts.landscape.scale import shared_scale
from samar.compare.groups import shown
from samar.errors import DataError
from samar.errors import shown as shown_line
from samar.jobs.job import ARCHIVE, Job, job_dir, log_path, moment
from samar.jobs.summary import MARKS
from samar.kinds.connectivity import connection_of
from samar.kinds.curvature import REPORT, report_of
from samar.kinds.measured import MeasuredSettings
from samar.settings.declare import Setting, settings_of
from samar.settings.job import JobSettings
from samar.web.jobs.table import kind_title, result_of
from samar.web.measuring.landscape import landscape_of
from samar.web.pages import PAGES, page_of
from samar.web.plotly_chart import plotly_chart
from samar.web.service import id_of, service
from samar.web.state import JOB
from samar.web.text import plain

LOG_LINES = 40


def open_job(job: Job) -> None:
    """Go where a job is shown."""
    page = page_of(job.kind)
    if page is not PAGES["runs"]:
        st.switch_page(page.path, query_params={page.names_job: job.id})
    st.query_params[JOB] = job.id
    st.rerun()


def details(jobs: Sequence[Job]) -> None:
    """Draw the job that the address names: settings, result, files and the end of its log."""
    if not (asked := st.query_params.get(JOB)):
        return
    wanted = id_of(asked)
    job = next((job for job in jobs if job.id == wanted), None)
    if job is None:
        st.warning(f"There is no job {plain(asked)[:80]}.", icon=":material/link_off:")
        return
    st.query_params[JOB] = wanted
    with st.container(border=True, key="details"):
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            title = f"{plain(kind_title(job))} {plain(job.label)}"
            st.markdown(f"**{title}** · {MARKS[job.status]}", width="content")
            st.button("Close", icon=":material/close:", on_click=_close, key="close_details")
        st.caption(f"Asked for {moment(job.created)} · id {job.id}")
        if archive := job.inputs.get(ARCHIVE):
            st.caption(f"Imported from an archive with the SHA-256 {plain(str(archive))}")
        for sentence in filter(None, (job.message, *job.notes)):
            st.caption(plain(sentence))
        if result := result_of(job):
            st.markdown(plain(result))
        if job.kind == MeasuredSettings.kind:
            _picture(job)
        left, right = st.columns(2)
        with left:
            model: type[JobSettings] = type(job.settings)
            told = {
                k.title: _value(getattr(job.settings, n), k) for n, k in settings_of(model).items()
            }
            _table("settings", ("setting", "value"), told)
        with right:
            kept = service().store.records.artifacts(job.key)
            paths = {artifact.path: job_dir(job.id) / artifact.path for artifact in kept}
            sizes = {n: path.stat().st_size for n, path in paths.items() if path.is_file()}
            _table("files", ("file", "bytes"), sizes)
            if log := _log(job):
                st.code(log, language=None, wrap_lines=True, height=260)


def _picture(job: Job) -> None:
    """Draw what a script measured: a landscape, eigenvalues and density, or paths."""
    try:
        figures = _figures(job)
    except DataError as error:
        st.warning(plain(str(error)), icon=":material/broken_image:")
        return
    if not figures:
        st.warning("Its file is gone or damaged.", icon=":material/broken_image:")
    for number, (figure, column) in enumerate(zip(figures, st.columns(2), strict=False)):
        with column:
            plotly_chart(figure, key=f"picture_{job.id}_{number}", height=420)


def _figures(job: Job) -> list[Any]:
    store = service().store
    if store.records.artifacts(job.key, REPORT):
        report = report_of(store, job)
        figures = [eigenvalue_figure([(job.title, report)])]
        return figures + ([density_figure([(job.title, report)])] if report.density else [])
    if (connection := connection_of(store, job)) is not None:
        split = connection.splits[0]
        return [paths_figure(connection, split, what) for what in ("loss", "accuracy")]
    if (landscape := landscape_of(store, job)) is None:
        return []
    scale = shared_scale([landscape], "loss", landscape.lowest > 0)
    if landscape.is_plane:
        return [draw(landscape, scale, job.title) for draw in (surface_figure, contour_figure)]
    return [slices_figure([(job.title, landscape)], scale)]


def _value(value: Any, known: Setting) -> str:
    """A setting's value; a folder by its whole path."""
    if value in (None, ""):
        return "—"
    return shown(value) if known.open_ended else shown(value, known)


def _table(name: str, columns: tuple[str, str], rows: Mapping[str, Any]) -> None:
    if rows:
        table = pd.DataFrame(rows.items(), columns=columns)
        st.dataframe(table, hide_index=True, key=f"details_{name}", placeholder="")


def _log(job: Job) -> str:
    try:
        text = log_path(job.id).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(map(shown_line, text.splitlines()[-LOG_LINES:]))


def _close() -> None:
    st.query_params.pop(JOB, None)
