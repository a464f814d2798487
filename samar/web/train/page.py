"""The Train page: choose the settings, start, steer and watch."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from samar.errors import RunError
from samar.jobs.job import RESUMABLE, UNREADABLE, Job
from samar.web.controls import settings_from_controls
from samar.web.service import attempt, explained, service, show_problem
from samar.web.state import LOADED, show_run, shown_run
from samar.web.text import plain
from samar.web.train.download import offer_download
from samar.web.train.frames import landscape_over_time
from samar.web.train.live import choose_view, live_run
from samar.web.train.settings_panel import settings_panel

FIRST_WIDTH, WIDTH = 168, 104


def train_page() -> None:
    """Draw the page for the run that the address names, or for a new one."""
    run_id = shown_run()
    with explained():
        run = service().get(run_id, "train") if run_id else None
        if run is not None and run.status == UNREADABLE:
            raise RunError(run.message)
    with st.sidebar:
        settings_panel(run)
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.subheader(plain(run.title) if run else "Train", anchor=False, width="content")
        _buttons(run)
    show_problem()
    if run is None:
        arrow = ":material/arrow_back:"
        st.info("Choose the settings on the left and press **Start**.", icon=arrow)
        offer_download(st.session_state["dataset"])
    else:
        live_run(run, choose_view())
        landscape_over_time(run)
    with st.expander("How to repeat this"):
        with explained():
            settings = run.settings if run else settings_from_controls()
        st.code(settings.command, language="bash", wrap_lines=True)


def _buttons(run: Job | None) -> None:
    """Three buttons that fit the state of the run; each acts before the page is drawn again.

    They keep place and width, and are disabled where they do not apply, so that nothing moves away
    under the pointer, also when the run ends by itself.
    """
    status = run.status if run else None
    ids = [run.id] if run else []
    with st.container(horizontal=True, key="run_buttons", width="content", gap="xsmall"):
        if run is None or not run.active:
            _button("Start", "play_arrow", "Ctrl+Enter", _start, first=True)
        elif status == "paused":
            _button("Resume", "play_arrow", "P", partial(service().resume, *ids), first=True)
        else:
            pause = partial(service().pause, *ids)
            _button("Pause", "pause", "P", pause, status != "running", first=True)
        if status in RESUMABLE:
            _button("Resume", "resume", "U", partial(service().resume, *ids))
        else:
            _button("Step", "skip_next", "N", partial(service().step, *ids), status != "paused")
        _button("Stop", "stop", "X", partial(service().stop, *ids), not (run and run.active))


def _button(
    label: str,
    icon: str,
    shortcut: str,
    act: Callable[..., None],
    disabled: bool = False,
    *,
    first: bool = False,
) -> None:
    st.button(
        label,
        key=f"button_{label.lower()}",
        icon=f":material/{icon}:",
        shortcut=shortcut,
        type="primary" if first and label != "Pause" else "secondary",
        disabled=disabled,
        on_click=attempt,
        args=(act,),
        width=FIRST_WIDTH if first else WIDTH,
    )


def _start() -> None:
    run_id = service().submit(settings_from_controls())
    st.session_state[LOADED] = run_id
    show_run(run_id)
