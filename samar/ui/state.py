"""Every key of the session and the URL, in one place.

The session holds ids and widget values only; results are read from the store by id.
"""

import streamlit as st

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


def show_run(run_id: str | None) -> None:
    """Put a run into the URL, or take it out."""
    if run_id is None:
        st.query_params.pop(RUN, None)
    else:
        st.query_params[RUN] = run_id
