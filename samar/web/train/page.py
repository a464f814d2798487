"""The Train page: choose the settings, start, steer and watch."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from samar.jobs.job import RESUMABLE, Job
from samar.jobs.kind import of_a_script
from samar.jobs.pace import EPOCH, PACES
from samar.kinds.race import RaceSettings
from samar.web.controls import settings_from_controls
from samar.web.live.stage import shown_of
from samar.web.plotly_chart import choose_view
from samar.web.presenting import presenting
from samar.web.service import act_button, explained, service, show_problem
from samar.web.state import COMPARED, LOADED, PACE_CONTROL, show_run, shown_run
from samar.web.text import plain
from samar.web.train.download import offer_download
from samar.web.train.experiments import edits_table, experiments
from samar.web.train.settings_panel import facts, loaded, prepare_settings, settings_panel
from samar.web.train.stage import several, stage

FIRST_WIDTH, WIDTH = 168, 116
PRESENTED = 1.35
"""How much larger type is before a room."""
RACE_HELP = "SGD, SAM, VaSSO and SAMAR with these settings, step by step from the same weights."


def train_page() -> None:
    """Draw the stage for the run, the race or the runs that the address names, or an empty one."""
    run_id, together = shown_run(), several()
    with explained():
        shown = shown_of(together or ([run_id] if run_id else []))
        run = shown.whole
    prepare_settings(run)
    with st.container(
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="center",
        key="stage_head",
    ):
        title = (
            f"{run.title}{run.badge}" if run else f"{len(together)} runs" if together else "Train"
        )
        st.subheader(plain(title), anchor=False, width="stretch")
        _buttons(run)
        with st.popover("View", icon=":material/tune:"):
            view = choose_view()
            if run is None or not run.active:
                _choose_pace()
    if why_not := service().cannot_start():
        st.caption(plain(why_not))
    experiments(run)
    with st.sidebar:  # after the optimizer is chosen, on which it depends what applies
        facts(run) if run and of_a_script(run.kind) else settings_panel(run)
    show_problem()
    if run is None:
        offer_download(st.session_state["dataset"])
    stage(shown, view)
    with st.expander("How to repeat this"):
        with explained():
            settings = run.settings if run else settings_from_controls()
        st.code(run.command if run else settings.command, language="bash", wrap_lines=True)
        if run and run.edits:
            edits_table(run)


def _buttons(run: Job | None) -> None:
    """Draw what begins something; what steers a run that is active, the stage puts there."""
    active = run is not None and run.active
    script = run is not None and not active and of_a_script(run.kind)
    start = service().cannot_start(run.settings if run and script else None)
    with st.container(horizontal=True, key="run_buttons", width="content", gap="xsmall"):
        if not active:
            _button("Start", "play_arrow", "Ctrl+Enter", _start, first=True, why_not=start)
        if run and run.status in RESUMABLE:
            resume = partial(service().resume, run.id)
            why_not = service().cannot_steer(run) or service().cannot_resume(run)
            _button("Resume", "resume", "U", resume, why_not=why_not)
        _button("Race", "flag", "G", _race, active, help=RACE_HELP, why_not=start)


def _choose_pace() -> None:
    """Draw the choice of how fast the next run trains; the stage has that of one that is active."""
    st.selectbox(
        "Pace",
        list(PACES),
        index=list(PACES).index(EPOCH),
        format_func=lambda name: f"{name}: {PACES[name]}",
        key=PACE_CONTROL,
        help="How fast it trains, and whether landscape and eigenvalues are measured meanwhile. It "
        "changes no number of the run.",
    )


def _button(
    label: str,
    icon: str,
    shortcut: str,
    act: Callable[..., object],
    disabled: bool = False,
    *,
    first: bool = False,
    help: str | None = None,
    why_not: str = "",
) -> None:
    width = FIRST_WIDTH if first else WIDTH
    act_button(
        label,
        icon,
        act,
        why_not=why_not,
        help=help,
        disabled=disabled,
        key=f"button_{label.lower()}",
        shortcut=shortcut,
        type="primary" if first and label != "Pause" else "secondary",
        width=int(width * PRESENTED) if presenting() else width,
    )


def _start() -> None:
    _show(service().submit(settings_from_controls(), pace=st.session_state[PACE_CONTROL]))


def _race() -> None:
    race = settings_from_controls(RaceSettings, name="")
    _show(service().submit(race, pace=st.session_state[PACE_CONTROL]))


def _show(job_id: str) -> None:
    st.query_params.pop(COMPARED, None)
    st.session_state[LOADED] = loaded(job_id, active=True)
    show_run(job_id)
