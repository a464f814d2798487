"""The settings over the stage, what a hand may change while a network learns, and what it did."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from samar.compare.groups import shown
from samar.jobs.edits import edits_file
from samar.jobs.job import Job, edits_name
from samar.jobs.kind import of_a_script
from samar.jobs.pace import PACES
from samar.settings.declare import Setting, settings_of
from samar.settings.job import JobSettings
from samar.web.controls import grid_of
from samar.web.service import service
from samar.web.train.settings_panel import INLINE, draw_setting


def experiments(run: Job | None) -> None:
    """Draw the row of settings of the next run; while one trains, the stage has its own there."""
    if run is not None and (run.active or of_a_script(run.kind)):
        return
    with st.container(key="experiments"):
        for place, name in zip(
            st.columns([1.1, 2, 2], vertical_alignment="bottom"), INLINE, strict=True
        ):
            with place:
                draw_setting(name, run)


def steering(run: Job | None) -> dict[str, Any] | None:
    """What the stage needs to let this visitor steer a run that is active; None without one."""
    if run is None or not run.active:
        return None
    model: type[JobSettings] = type(run.settings)
    known = settings_of(model)
    return {
        "controls": [_control(each) for each in known.values() if each.live],
        "paces": dict(PACES),
        "whyNot": service().cannot_steer(run),
    }


def _control(known: Setting) -> dict[str, Any]:
    """A setting as the browser draws it."""
    choices = None if known.choices is None else list(known.choices.items())
    return {
        "name": known.name,
        "title": known.title,
        "help": known.help,
        "kind": known.kind.__name__,
        "choices": choices,
        "grid": grid_of(known),
        "low": known.low,
    }


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
