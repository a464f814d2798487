"""The run service, shared by all sessions of the server."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from samar.errors import SamarError
from samar.runs import Run, RunHistory, Runs


@st.cache_resource
def service() -> Runs:
    """The service over the default store."""
    return Runs()


@st.cache_resource(max_entries=16)
def history(key: int) -> RunHistory:
    """The records of one run, grown incrementally and shared by all tabs that watch it."""
    return RunHistory(service().store.series, key)


@contextmanager
def explained() -> Iterator[None]:
    """Show a problem that the person can mend as one sentence, and end the page there."""
    try:
        yield
    except SamarError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


def run_of(run_id: str) -> Run:
    """One run, or a sentence and the end of the page."""
    with explained():
        return service().get(run_id)
