"""The jobs, shared by all sessions of the server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from samar.errors import SamarError, of_the_disk
from samar.jobs.engine.spare import keep
from samar.jobs.history import RunHistory
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.sweeps.service import Sweeps
from samar.web.state import PROBLEM
from samar.web.text import plain


def _kept_warm(_: Jobs) -> bool:
    """Called at every visit: while somebody looks, a process waits that has loaded torch."""
    keep()
    return True


@st.cache_resource(validate=_kept_warm)
def service() -> Jobs:
    """The service over the default store."""
    keep()
    return Jobs(by="browser")


def sweeps() -> Sweeps:
    """The service for sweeps, over the same store."""
    return Sweeps(service())


def history(run: Job) -> RunHistory:
    """The records of one run, grown incrementally and shared by all tabs that watch it."""
    return _history(run.id, run.key)


@st.cache_resource(max_entries=48)
def _history(run_id: str, key: int) -> RunHistory:
    return RunHistory(service().store.records, key)


@contextmanager
def explained() -> Iterator[None]:
    """Show a problem that the person can mend as one sentence, and end the page there."""
    try:
        yield
    except (SamarError, OSError) as error:
        st.error(plain(_sentence(error)), icon=":material/error:")
        st.stop()


def attempt(act: Callable[..., None], *arguments: Any) -> None:
    """Run an action in a callback; a problem is kept for :func:`show_problem`."""
    try:
        act(*arguments)
    except (SamarError, OSError) as error:
        st.session_state[PROBLEM] = _sentence(error)


def _sentence(error: SamarError | OSError) -> str:
    return of_the_disk(error) if isinstance(error, OSError) else str(error)


def show_problem() -> None:
    """Show, once, what went wrong in the last callback."""
    if problem := st.session_state.pop(PROBLEM, None):
        st.error(plain(problem), icon=":material/error:")
