"""What was changed while a run trained: a table, and the file that repeats it."""

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
from samar.web.service import service

TOLD = "The settings alone do not repeat it; this file does"


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
    told = "The script alone does not repeat it" if script else TOLD
    st.markdown(f"**Edited while it trained.** {told}.")
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
