"""The table of runs and what can be done with the selected one."""

import zlib
from datetime import datetime
from functools import partial

import pandas as pd
import streamlit as st

from samar.runs import Run
from samar.ui.service import attempt, history, service, show_problem
from samar.ui.state import RUN, TRAIN_PAGE
from samar.ui.text import plain

REFRESH_SECONDS = 2.0
MARKS = {
    "queued": "… queued",
    "running": "▶ running",
    "paused": "‖ paused",
    "finished": "✓ finished",
    "stopped": "■ stopped",
    "diverged": "× diverged",
    "failed": "× failed",
    "interrupted": "! interrupted",
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
    # Another list of runs is another table, so that a selection never slides to another run.
    known = zlib.crc32(" ".join(run.id for run in runs).encode())
    chosen = st.container(key="runs_table").dataframe(
        pd.DataFrame([_row(run) for run in runs]),
        key=f"runs_{known}",
        placeholder="",
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
        "started": datetime.fromtimestamp(run.started) if run.started else None,
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
            st.button(
                "Resume",
                icon=":material/resume:",
                on_click=attempt,
                args=(service().resume, run.id),
            )
        if run.active:
            st.button(
                "Stop", icon=":material/stop:", on_click=attempt, args=(service().stop, run.id)
            )
        with st.popover("Rename", icon=":material/edit:"):
            name = st.text_input("New name", run.config.name, max_chars=80, key=f"name_{run.id}")
            st.button(
                "Save", on_click=attempt, args=(service().rename, run.id, name), key="save_name"
            )
        if not run.active:
            with st.popover("Delete", icon=":material/delete:"):
                st.markdown("This removes the run, its records and its weights for good.")
                st.button(
                    "Delete it",
                    on_click=attempt,
                    args=(service().delete, run.id),
                    key="really_delete",
                )
        for part, kind in enumerate(("Steps", "Epochs")):
            st.download_button(
                f"{kind} (CSV)",
                partial(_csv, run, part),
                f"samar-{run.id}-{kind.lower()}.csv",
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
    show_problem()


def _csv(run: Run, part: int) -> str:
    """Every recorded step (part 0) or epoch (part 1), one line each."""
    return str(pd.DataFrame(history(run).refresh()[part]).to_csv(index=False))
