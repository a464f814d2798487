"""What a hand may change while a network learns, and the table of what it changed."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from samar.compare.groups import shown
from samar.jobs.edits import edits_file
from samar.jobs.job import Job, edits_name
from samar.jobs.kind import of_a_script
from samar.settings.declare import Setting, settings_of
from samar.settings.job import JobSettings
from samar.web.controls import SETTINGS, set_widget
from samar.web.service import history, service
from samar.web.state import HELD
from samar.web.train.settings_panel import HELD_SETTING, INLINE, draw_setting, steer, steers

NOW = {
    "lr": "As it was when the page was opened. A change moves all parameter groups in proportion; "
    "a scheduler of the script may move it again.",
    "rho": "Radius of the perturbation, of samar's optimizers.",
}
HOLDS = {0.0: "0 (SGD)", 1.0: "1 (SAM)"}


def experiments(run: Job | None) -> None:
    """Draw the row; what does not apply keeps its place and is disabled."""
    with st.container(key="experiments"):
        places = st.columns([1.1, 1.5, 2, 2], vertical_alignment="bottom")
        for place, name in zip((places[0], *places[2:]), INLINE, strict=True):
            with place:
                if run and of_a_script(run.kind):
                    _of_script(name, run)
                else:
                    draw_setting(name, run)
        with places[1]:
            _hold(run)


def _of_script(name: str, run: Job) -> None:
    """The optimizer of a script, or a number of it that can be changed, whatever its size."""
    key = f"{name}_{run.id}"
    if name == "optimizer":
        st.text_input("Optimizer", run.settings.optimizer_title, disabled=True, key=key)
        return
    if key not in st.session_state:
        st.session_state[key] = _now(name, run)
    st.number_input(
        SETTINGS[name].title,
        min_value=0.0,
        step=(st.session_state[key] or 0.01) / 10,
        format="%.4g",
        key=key,
        disabled=not (run.active and steers(run, name)) or bool(service().cannot_steer(run)),
        on_change=steer,
        args=(run.id, name, key),
        help=NOW[name],
    )


def _now(name: str, run: Job) -> float | None:
    """A number of a script's run as it is now; its own scheduler may have moved the rate."""
    rates = history(run).refresh()[0]["lr"]
    if name == "lr" and len(rates):
        return float(rates[-1])
    value: float | None = service().live_values(run)[name]
    return value


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


def edits_table(run: Job) -> None:
    """Draw every edit of a run, with who made it and when."""
    edits = service().edits(run)
    model: type[JobSettings] = type(run.settings)
    known = settings_of(model)
    rows = [
        {
            "after step": edit.step,
            "setting": known[name].title if name in known else name,
            "from": _shown(edit.before.get(name), known.get(name)),
            "to": _shown(value, known.get(name)),
            "only": edit.only,
            "by": edit.by or "unknown",
            "time": datetime.fromtimestamp(edit.at),
        }
        for edit in edits
        for name, value in edit.values.items()
    ]
    table = pd.DataFrame(rows)
    script = of_a_script(run.kind)
    told = "The script alone does not" if script else "The settings alone do not"
    st.markdown(
        f"**Edited while it trained.** {told} repeat it" + ("." if script else "; this file does.")
    )
    st.dataframe(
        table if any(table["only"]) else table.drop(columns="only"),
        hide_index=True,
        placeholder="",
        key="edits",
        column_config={"time": st.column_config.DatetimeColumn(format="D MMM HH:mm:ss")},
        alt="Settings that were changed while the run trained.",
    )
    if script:
        return
    st.download_button(
        edits_name(run.id),
        edits_file(edits),
        edits_name(run.id),
        "application/json",
        key="download_edits",
        on_click="ignore",
        icon=":material/download:",
    )


def _shown(value: Any, known: Setting | None) -> str:
    return "—" if value is None else shown(value, known)
