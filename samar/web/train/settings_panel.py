"""The settings of a run in the sidebar: a preset, the essentials, and the rest under Advanced.

While a run is active they show what it was started with; what steers it stands on the stage.
"""

import shlex
from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitAPIException

from samar.errors import SamarError
from samar.jobs.job import Job
from samar.jobs.kind import of_a_script
from samar.training.presets import PRESETS
from samar.training.settings import TrainSettings
from samar.web.controls import (
    SETTINGS,
    control,
    fill,
    link_problem,
    put,
    relevant,
    set_widget,
    settings_from_controls,
)
from samar.web.service import service
from samar.web.state import LINK_READ, LOADED, PRESET, PROBLEM
from samar.web.text import plain

GROUPS = {
    "data": "Images",
    "base": "Base optimizer",
    "sharpness": "Perturbation and sharpness",
    "rule": "λ rule",
    "second": "Second gradient",
    "compute": "Reproduction and machine",
    "run": "This run",
}


INLINE = ("optimizer", "lr", "rho")
"""Settings that stand over the stage instead, see :mod:`samar.web.train.experiments`."""


def prepare_settings(run: Job | None) -> None:
    """Fill the settings from the link or from the run on the page, before any is drawn."""
    if LINK_READ not in st.session_state:
        st.session_state[LINK_READ] = True
        _preset_of_link()
        if problem := link_problem():
            st.session_state[PROBLEM] = problem
    _follow(run)


def settings_panel(run: Job | None) -> None:
    """Draw every setting but those over the stage; ``run`` is the run on the page, if any."""
    place = st.container()
    _group("essentials", run)
    with st.expander("Advanced"):
        for group, title in GROUPS.items():
            if any(known.group == group and relevant(name) for name, known in SETTINGS.items()):
                st.markdown(f"**{title}**")
                _group(group, run)
    # Drawn last, because it says whether the settings now are those of a preset.
    set_widget(PRESET, _preset_of_controls())
    place.selectbox(
        "Preset",
        [None, *PRESETS],
        format_func=lambda name: PRESETS[name].title if name else "Own settings",
        key=PRESET,
        placeholder="Own settings",
        on_change=_apply_preset,
        disabled=run is not None and run.active,
        help="Fills every setting below.",
    )


def facts(run: Job) -> None:
    """Draw what a run of somebody's own script says of itself, in place of settings."""
    settings = run.settings
    st.markdown("**A run of your own script**")
    told = {
        "Script": Path(shlex.split(settings.script)[0]).name if settings.script else "",
        "Network": settings.network,
        "Parameters": f"{settings.parameters:,}",
        "Optimizer": settings.optimizer_title,
        "λ rule": settings.rule.replace("_", " "),
    }
    for name, value in told.items():
        if value:
            st.caption(name)
            st.markdown(plain(value))
    st.caption("The script itself sets everything else.")


def _preset_of_link() -> None:
    """A preset in the link, by its key or title, fills what the link itself does not set."""
    wanted = st.query_params.pop(PRESET, None)
    for name, preset in PRESETS.items():
        if wanted in (name, preset.title):
            for key, value in preset.config().model_dump().items():
                if key not in st.query_params:
                    put(key, value, SETTINGS[key].default)
            return
    if wanted:
        st.session_state[PROBLEM] = f"There is no preset {wanted[:40]!r}; choose one in the list."


def _preset_of_controls() -> str | None:
    try:
        settings = settings_from_controls(TrainSettings, name="")
    except SamarError:
        return None
    return next((n for n, preset in PRESETS.items() if preset.config() == settings), None)


def _group(group: str, run: Job | None) -> None:
    for name, known in SETTINGS.items():
        if known.group == group and relevant(name) and name not in INLINE:
            draw_setting(name, run)


def draw_setting(name: str, run: Job | None) -> None:
    """Draw a setting of the next run; while one is active, with what that was started with."""
    active = run is not None and run.active
    script = run is not None and of_a_script(run.kind)
    control(name, in_link=not active, disabled=active or script or not relevant(name))


def _follow(run: Job | None) -> None:
    """Fill the controls with a run's settings when it comes onto the page.

    Settings in the link go before those of a run that is over, as a start for the next one. While a
    run is active the controls show what it trains with, whatever the link says.
    """
    if run is None or st.session_state.get(LOADED) == loaded(run.id, run.active):
        return
    if run.active:
        for name in SETTINGS:
            with suppress(StreamlitAPIException):  # a widget of this session holds it
                st.query_params.pop(name, None)
    if run.settings.kind == TrainSettings.kind or hasattr(run.settings, "optimizers"):
        fill(run.settings, **service().live_values(run))
    else:
        st.session_state["lam_held"] = service().live_values(run)["lam_held"]
        st.session_state["optimizer"] = run.settings.optimizer
    st.session_state[LOADED] = loaded(run.id, run.active)


def loaded(run_id: str, active: bool) -> str:
    """Name of a run that fills the controls, and once more when it is over: it may be edited."""
    return f"{run_id} {active}"


def _apply_preset() -> None:
    name = st.session_state[PRESET]
    if name is not None:
        fill(PRESETS[name].config())
