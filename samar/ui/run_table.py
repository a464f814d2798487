"""The table of runs and what can be done with the selected one."""

import pandas as pd
import streamlit as st

from samar.errors import SamarError
from samar.runs import Run
from samar.ui.service import history, service
from samar.ui.state import PROBLEM, RUN
from samar.ui.text import plain

TRAIN_PAGE = "pages/experiment/train.py"
REFRESH_SECONDS = 2.0
MARKS = {
    "queued": "⏳ queued",
    "running": "▶ running",
    "paused": "⏸ paused",
    "finished": "✔ finished",
    "stopped": "⏹ stopped",
    "diverged": "✖ diverged",
    "failed": "✖ failed",
    "interrupted": "⚠ interrupted",
}
PERCENT = st.column_config.NumberColumn(format="percent")


def run_table() -> None:
    """Draw the table; it refreshes itself while any run is active."""
    active = any(run.active for run in service().all())
    st.fragment(_table, run_every=REFRESH_SECONDS if active else None)(active)


def _table(was_active: bool) -> None:
    runs = service().all()
    if not runs or (was_active and not any(run.active for run in runs)):
        st.rerun()
    chosen = st.dataframe(
        pd.DataFrame([_row(run) for run in runs]),
        key="runs_table",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config=dict.fromkeys(("train", "test", "gap"), PERCENT),
        alt="All runs, newest first, with status and accuracies.",
    )
    rows = chosen["selection"]["rows"]
    if rows and rows[0] < len(runs):
        _actions(runs[rows[0]])
    else:
        st.caption("Select a row to open, resume, stop, rename, delete or download a run.")


def _row(run: Run) -> dict[str, object]:
    last = run.last_epoch
    return {
        "status": MARKS[run.status],
        "name": run.title,
        "epoch": f"{last.epoch if last else 0}/{run.config.epochs}",
        "train": last.train_accuracy if last else None,
        "test": last.test_accuracy if last else None,
        "gap": last.gap if last else None,
        "seconds": round(last.seconds, 1) if last else None,
        "started": pd.Timestamp(run.started, unit="s") if run.started else None,
        "id": run.id,
    }


def _actions(run: Run) -> None:
    with st.container(key="run_title"):
        st.markdown(f"**{plain(run.title)}** · {MARKS[run.status]}")
    if run.message:
        st.caption(plain(run.message))
    with st.container(horizontal=True, key="run_actions"):
        if st.button("Open", icon=":material/open_in_new:", type="primary", key="open"):
            st.switch_page(TRAIN_PAGE, query_params={RUN: run.id})
        if run.status in ("paused", "stopped", "interrupted", "failed"):
            st.button("Resume", icon=":material/resume:", on_click=_do, args=("resume", run.id))
        if run.active:
            st.button("Stop", icon=":material/stop:", on_click=_do, args=("stop", run.id))
        with st.popover("Rename", icon=":material/edit:"):
            name = st.text_input("New name", run.config.name, max_chars=80, key=f"name_{run.id}")
            st.button("Save", on_click=_do, args=("rename", run.id, name), key="save_name")
        if not run.active:
            with st.popover("Delete", icon=":material/delete:"):
                st.markdown("This removes the run, its records and its weights for good.")
                st.button("Delete it", on_click=_do, args=("delete", run.id), key="really_delete")
        st.download_button(
            "CSV",
            lambda: _csv(run),
            f"samar-{run.id}.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
        )
        st.download_button(
            "Config",
            run.config.model_dump_json(indent=2),
            f"samar-{run.id}.json",
            "application/json",
            on_click="ignore",
            icon=":material/download:",
        )
    problem = st.session_state.pop(PROBLEM, None)
    if problem:
        st.error(problem, icon=":material/error:")


def _do(action: str, *arguments: str) -> None:
    try:
        getattr(service(), action)(*arguments)
    except SamarError as error:
        st.session_state[PROBLEM] = str(error)


def _csv(run: Run) -> str:
    """Every recorded step, one line each."""
    steps, _ = history(run.key).refresh()
    return str(pd.DataFrame(steps).to_csv(index=False))
