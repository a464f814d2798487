"""The landscapes that a run kept on its way, read once for all tabs."""

import streamlit as st

from samar.charts.stage.feed import Plane
from samar.errors import DataError
from samar.jobs.job import Job, job_dir
from samar.web.service import service


def planes(run: Job) -> list[Plane]:
    """The landscapes of a run, oldest first; a file that is damaged or gone is left out."""
    read, found = _read(run.id), []
    for kept in service().store.records.artifacts(run.key, "film_plane"):
        plane = read.get(kept.path)
        if plane is None or plane.at != kept.at:
            from samar.landscapes.result import Landscape

            try:
                seen = Landscape.load(job_dir(run.id) / kept.path)
            except DataError:  # the others are still worth seeing
                continue
            plane = read[kept.path] = Plane(kept.step, kept.at, seen)
        found.append(plane)
    return found


@st.cache_resource(max_entries=48, show_spinner=False)
def _read(run_id: str) -> dict[str, Plane]:
    """What was read of a run by its path; a landscape that was measured anew replaces the first."""
    return {}
