"""Every key of the session and the URL, in one place.

The session holds ids and widget values only; results are read from the store by id.
"""

import streamlit as st

from samar.web.pages import PAGES

TRAIN_PAGE, JOBS_PAGE, SWEEPS_PAGE = (PAGES[n].path for n in ("train", "runs", "sweeps"))
LANDSCAPE_PAGE, CURVATURE_PAGE = PAGES["landscape"].path, PAGES["curvature"].path
LESSONS_PAGE, COMPARE_PAGE = PAGES["lessons"].path, PAGES["compare"].path

RUN = "run"
"""URL: the run a page shows."""

PACE_CONTROL = "pace"
"""Session: the pace that is chosen for the next run."""

JOB = "job"
"""URL: the measurements that a page shows, with commas between them."""

COMPARED = "runs"
"""URL: ids of the runs that the Compare page, or the stage, shows together, with commas between."""

COMPARED_LINK, COMPARED_TABLE = "compared_link", "compared_table"
"""Session: the link that the Compare page last read or wrote, and how often another one came."""

IMPORTED = "imported_run"
"""Session: the job that was just imported, to be told once."""

IMPORT_PROBLEM = "import_problem"
"""Session: why the last import was refused, to be told once."""

SELECTED = "selected_runs"
"""Session: ids of the jobs selected in the table, which outlive a new order of its rows."""

PLAYGROUND = "p_"
"""Session and URL: before the name of a control of the playground."""

PLAYGROUND_PRESET = "p_preset"
"""Session, and URL at the first visit: the playground's preset chosen last."""

LINK_READ = "link_read"
"""Session: whether the settings in the link were checked."""

LOADED = "loaded_run"
"""Session: the run whose settings the controls were filled with."""

PROBLEM = "problem"
"""Session: a sentence to show once beside the run buttons."""

EXTRA = "extra_"
"""Session: before a setting's name, values off its slider's grid that the slider offers too."""

PRESET = "preset"
"""Session: the preset last chosen."""

STUDY_SETTING = "study_setting"
"""Session: the setting whose table the study page shows."""

FIRST_JOBS = "first_jobs"
"""Session: the jobs of first results that this tab started last."""

MODELS = "models_"
"""Session and URL: before the name of a control of the Models page."""

DOWNLOAD = "download"
"""Session: the download that is watched, so that its end is told."""


def shown_run() -> str | None:
    """The run that the URL names."""
    return st.query_params.get(RUN)


def show_run(run_id: str) -> None:
    """Put a run into the URL."""
    st.query_params[RUN] = run_id


SWEEP = "sweep"
"""URL: the sweep a page shows."""

SWEEP_FORM = "s_"
"""Session and URL: before the name of a widget of the form for a new sweep."""


SWEEP_PRESET = "sweep_preset"
"""URL: the preset that the form for a new sweep was filled with."""


def shown_sweep() -> str | None:
    """The sweep that the URL names."""
    return st.query_params.get(SWEEP)


def show_sweep(sweep_id: str | None) -> None:
    """Put a sweep into the URL, or take it out."""
    if sweep_id is None:
        st.query_params.pop(SWEEP, None)
    else:
        st.query_params[SWEEP] = sweep_id


LESSON = "lesson"
"""URL: number of the lesson on the page."""

LAST_LESSON = "last_lesson"
"""Session: the lesson to come back to."""

LESSON_RUNS = "lesson_runs"
"""Session: ids of the runs that a lesson started, by what they show."""

PERSON_WORD = "person_word"
"""Session: the random word by which a class's browser is known, as in its cookie."""

PRESENT = "present"
"""URL and session: whether the page is shown to a room."""

HIDE = "hide"
"""URL and session: parts of the page and widgets that are left out."""
