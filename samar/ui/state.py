"""Every key of the session and the URL, in one place.

The session holds ids and widget values only; results are read from the store by id.
"""

import streamlit as st

TRAIN_PAGE = "pages/experiment/train.py"
"""Where a run is started and watched."""

RUN = "run"
"""URL: the run a page shows."""

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


def shown_run() -> str | None:
    """The run that the URL names."""
    return st.query_params.get(RUN)


def show_run(run_id: str) -> None:
    """Put a run into the URL."""
    st.query_params[RUN] = run_id
