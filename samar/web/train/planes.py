"""The landscapes that a run kept on its way, read once for all tabs."""

from typing import TYPE_CHECKING

import streamlit as st

from samar.charts.stage.feed import Plane
from samar.errors import DataError
from samar.jobs.files import job_dir
from samar.jobs.job import Job
from samar.web.service import service

if TYPE_CHECKING:
    from samar.landscapes.result import Landscape


def planes(run: Job) -> list[Plane]:
    """The landscapes of a run, oldest first; a file that is damaged or gone is left out."""
    found = []
    for kept in service().store.records.artifacts(run.key, "film_plane"):
        try:
            found.append(Plane(kept.step, kept.at, _load(run.id, kept.path, kept.at)))
        except DataError:  # the others are still worth seeing
            continue
    return found


@st.cache_resource(max_entries=512, show_spinner=False)
def _load(run_id: str, path: str, at: float) -> "Landscape":
    from samar.landscapes.result import Landscape

    return Landscape.load(job_dir(run_id) / path)
