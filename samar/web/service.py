"""The jobs, shared by all sessions of the server."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import streamlit as st
from sqlalchemy.exc import OperationalError

from samar.errors import RunError, SamarError, of_the_disk
from samar.jobs.engine.spare import keep
from samar.jobs.job import Job
from samar.jobs.records import RunHistory
from samar.jobs.roles import (
    CLASS,
    UPLOAD_MB,
    allow,
    limit,
    why_not_manage,
    why_not_type_path,
    why_not_upload,
)
from samar.jobs.service import Jobs
from samar.sweeps.service import Sweeps
from samar.web.person import recognize, this_person
from samar.web.state import PROBLEM
from samar.web.text import plain

TENDED_SECONDS = 5.0
HISTORY_SECONDS = 3600.0
"""A run's records are then read anew: those of a long run take many megabytes."""


def _kept_warm(_: Jobs) -> bool:
    """Called at every visit: while somebody looks, a process waits that has loaded torch."""
    keep()
    return True


@st.cache_resource(validate=_kept_warm, show_spinner=False)
def service() -> Jobs:
    """The service over the default store."""
    keep()
    return Jobs(by="browser", who=this_person)


def welcome() -> None:
    """Find out who visits; while a class does, its jobs' time is watched, whether anybody looks."""
    with explained():
        if recognize():
            _tended()


@st.cache_resource(show_spinner=False)
def _tended() -> None:
    threading.Thread(target=_tend, args=(service(),), daemon=True).start()


def _tend(jobs: Jobs) -> None:
    while True:
        time.sleep(TENDED_SECONDS)
        with suppress(OperationalError):  # the store is busy
            jobs.look_after()


def id_of(word: str, kind: str | None = None) -> str:
    """The id of the job that an address names by its number or name; else the word as it is."""
    try:
        return service().get(word, kind).id
    except RunError:
        return word


def sweeps() -> Sweeps:
    """The service for sweeps, over the same store."""
    return Sweeps(service())


def history(run: Job) -> RunHistory:
    """The records of one run, grown incrementally and shared by all tabs that watch it."""
    return _history(run.id, run.key)


@st.cache_resource(max_entries=48, ttl=HISTORY_SECONDS, show_spinner=False)
def _history(run_id: str, key: int) -> RunHistory:
    return RunHistory(service().store.records, key)


@contextmanager
def explained() -> Iterator[None]:
    """Show a problem that the person can mend as one sentence, and end the page there."""
    try:
        yield
    except (SamarError, OSError) as error:
        st.error(plain(sentence_of(error)), icon=":material/error:")
        st.stop()


def unless(why_not: str, help: str | None = None, disabled: bool = False) -> dict[str, Any]:
    """Options of a widget that is disabled, and says why, where the visitor may not use it."""
    return {"disabled": disabled or bool(why_not), "help": plain(why_not) or help}


def cannot_manage() -> str:
    """Why the visitor may not change what is no job, such as the library; empty if they may."""
    return why_not_manage(this_person())


def manage(act: Callable[..., object], *arguments: Any) -> None:
    """:func:`attempt` to change what is no job, if the visitor may."""
    attempt(_managed, act, *arguments)


def _managed(act: Callable[..., object], *arguments: Any) -> None:
    allow(cannot_manage())
    act(*arguments)


def cannot_upload() -> str:
    """Why the visitor may upload nothing; empty if they may."""
    return why_not_upload(this_person(), 0)


def most_upload_mb(most: int) -> int:
    """The megabytes that an upload may have, of which nobody may have more than ``most``."""
    return min(most, limit(UPLOAD_MB)) if this_person().role == CLASS else most


def cannot_type_path() -> str:
    """Why the visitor may name no file or folder of the server; empty if they may."""
    return why_not_type_path(this_person())


def checked_upload(size: int) -> None:
    """Go on if the visitor may upload a file of so many bytes.

    Raises:
        NotAllowed: it is too large, or they may upload nothing.
    """
    allow(why_not_upload(this_person(), size))


def attempt(act: Callable[..., object], *arguments: Any) -> None:
    """Run an action in a callback; a problem is kept for :func:`show_problem`."""
    try:
        act(*arguments)
    except (SamarError, OSError) as error:
        st.session_state[PROBLEM] = sentence_of(error)


def act_button(
    label: str,
    icon: str,
    act: Callable[..., object],
    *arguments: Any,
    why_not: str = "",
    help: str | None = None,
    disabled: bool = False,
    **options: Any,
) -> None:
    """Draw a button that runs an action; it is disabled, and says why, where ``why_not`` does."""
    st.button(
        label,
        icon=f":material/{icon}:" if icon else None,
        on_click=attempt,
        args=(act, *arguments),
        **unless(why_not, help, disabled),
        **options,
    )


def sentence_of(error: SamarError | OSError) -> str:
    """What went wrong, for a person."""
    return of_the_disk(error) if isinstance(error, OSError) else str(error)


def show_problem() -> None:
    """Show, once, what went wrong in the last callback."""
    if problem := st.session_state.pop(PROBLEM, None):
        st.error(plain(problem), icon=":material/error:")
