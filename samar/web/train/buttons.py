"""Start, pause, step, resume and stop: the buttons that fit the state of the run on the page."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from samar.jobs.store import RESUMABLE, Job
from samar.web.controls import settings_from_controls
from samar.web.service import attempt, service, show_problem
from samar.web.state import LOADED, show_run


def run_buttons(run: Job | None) -> None:
    """Draw the buttons; each acts before the page is drawn again.

    Step and Stop keep their place and are disabled where they do not apply, so that no button moves
    away under the pointer.
    """
    status = run.status if run else None
    with st.container(horizontal=True, key="run_buttons", width="content"):
        if run is not None and status in RESUMABLE:
            _button("Resume", "resume", "U", lambda: service().resume(run.id))
        if run is None or not run.active:
            _button("Start", "play_arrow", "Ctrl+Enter", _start, primary=True)
        elif status == "paused":
            _button("Resume", "play_arrow", "P", lambda: service().resume(run.id), primary=True)
        else:
            pausable = status == "running"
            _button("Pause", "pause", "P", lambda: service().pause(run.id), disabled=not pausable)
        if run is not None:
            step, stop = partial(service().step, run.id), partial(service().stop, run.id)
            _button("Step", "skip_next", "N", step, disabled=status != "paused")
            _button("Stop", "stop", "X", stop, disabled=not run.active)
    show_problem()


def _button(
    label: str,
    icon: str,
    shortcut: str,
    act: Callable[[], None],
    *,
    primary: bool = False,
    disabled: bool = False,
) -> None:
    st.button(
        label,
        key=f"button_{label.lower()}",
        icon=f":material/{icon}:",
        shortcut=shortcut,
        type="primary" if primary else "secondary",
        disabled=disabled,
        on_click=attempt,
        args=(act,),
    )


def _start() -> None:
    run_id = service().submit(settings_from_controls())
    st.session_state[LOADED] = run_id
    show_run(run_id)
