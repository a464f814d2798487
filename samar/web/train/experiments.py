"""What a hand may change while a network learns: optimizer, λ held or free, rate and radius."""

from typing import Any

import streamlit as st

from samar.jobs.job import Job
from samar.jobs.kind import kind_of
from samar.web.controls import SETTINGS, set_widget
from samar.web.service import service
from samar.web.state import HELD
from samar.web.train.settings_panel import HELD_SETTING, INLINE, draw_setting, steer

HOLDS = {0.0: "0 (SGD)", 1.0: "1 (SAM)"}


def experiments(run: Job | None) -> None:
    """Draw the row; what does not apply keeps its place and is disabled."""
    with st.container(key="experiments"):
        places = st.columns([1.1, 1.5, 2, 2], vertical_alignment="bottom")
        for place, name in zip((places[0], *places[2:]), INLINE, strict=True):
            with place:
                if name == "optimizer" and run and kind_of(run.kind).script:
                    title = run.settings.optimizer_title
                    st.text_input("Optimizer", title, disabled=True, key=f"optimizer_{run.id}")
                else:
                    draw_setting(name, run)
        with places[1]:
            _hold(run)


def _hold(run: Job | None) -> None:
    """Hold λ, or let it go."""
    steers = run is not None and run.active and run.status != "queued"
    chosen = st.session_state.get("optimizer", SETTINGS["optimizer"].default)
    samar = "samar" in getattr(run.settings if run else None, "optimizers", chosen)
    held: Any = st.session_state.get(HELD_SETTING)
    set_widget(HELD, held if held in HOLDS else None)
    st.pills(
        "Hold λ at",
        list(HOLDS),
        format_func=HOLDS.__getitem__,
        key=HELD,
        disabled=not (samar and steers) or bool(run and service().cannot_steer(run)),
        on_change=_held,
        args=(run.id if run else "",),
        help="0 makes SAMAR plain SGD, 1 makes it SAM. Press again to let λ go free. Works while a "
        "run of SAMAR trains.",
    )


def _held(run_id: str) -> None:
    st.session_state[HELD_SETTING] = st.session_state[HELD]
    steer(run_id, HELD_SETTING)
