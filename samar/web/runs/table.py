"""The table of runs: filter, select, and what can be done with the selected ones."""

import zlib
from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from samar.jobs.job import Job
from samar.web.runs.files import download_menu
from samar.web.service import attempt, service, show_problem
from samar.web.state import COMPARE_PAGE, COMPARED, RUN, SELECTED, TRAIN_PAGE
from samar.web.text import plain

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
    "unreadable": "? unreadable",
}
PERCENT = st.column_config.NumberColumn(format="percent")
TALLEST = 520


def run_table() -> None:
    """Draw the table; it refreshes itself while any run is active."""
    active = any(run.active for run in service().all("train"))
    st.fragment(_table, run_every=REFRESH_SECONDS if active else None)(active)


def filtered(runs: Sequence[Job]) -> list[Job]:
    """Draw the filter and return what passes it, pinned runs first, then the newest."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="runs_filters"):
        words = st.text_input(
            "Filter",
            key="filter",
            bind="query-params",
            max_chars=80,
            placeholder="name, tag, status, optimizer, data set…",
            help="Every word must occur, in any of these or in the id.",
            width=360,
        )
        pinned = st.toggle("Pinned only", key="pinned", bind="query-params")
        in_sweep = sum(run.parent is not None for run in runs)
        sweeps = in_sweep and st.toggle(
            f"Members of sweeps ({in_sweep})", key="sweeps", bind="query-params"
        )
    wanted = (words or "").lower().split()
    passed = [
        run
        for run in runs
        if (not pinned or run.pinned)
        and (sweeps or run.parent is None)
        and all(word in _searched(run) for word in wanted)
    ]
    return sorted(passed, key=lambda run: not run.pinned)


def select_runs(runs: Sequence[Job], key: str, selected: Sequence[str] = ()) -> list[Job]:
    """Draw a table in which rows can be selected, and return the selected runs.

    Args:
        runs: the rows.
        selected: ids selected when the table first appears.
    """
    # Another list of runs is another table, so that a selection never slides to another run.
    known = zlib.crc32(" ".join(run.id for run in runs).encode())
    rows = [number for number, run in enumerate(runs) if run.id in selected]
    chosen = st.dataframe(
        pd.DataFrame([_row(run) for run in runs]),
        key=f"{key}_{known}",
        height=min(TALLEST, 40 + 35 * len(runs)),
        placeholder="",
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": rows}} if rows else None,
        column_config={
            **dict.fromkeys(("train", "test", "gap"), PERCENT),
            "pin": st.column_config.TextColumn("", width=24, help="★ is pinned"),
            "tags": st.column_config.ListColumn(width="small"),
        },
        alt="Runs, pinned ones first, with status and accuracies.",
    )
    return [runs[row] for row in chosen["selection"]["rows"] if row < len(runs)]


def _table(was_active: bool) -> None:
    runs = service().all("train")
    if not runs or (was_active and not any(run.active for run in runs)):
        st.rerun()
    shown = filtered(runs)
    if not shown:
        st.info("No run passes the filter.", icon=":material/filter_alt:")
        return
    with st.container(key="runs_table"):
        chosen = select_runs(shown, "runs", st.session_state.get(SELECTED, ()))
    st.session_state[SELECTED] = [run.id for run in chosen]
    if len(chosen) == 1:
        _actions(chosen[0])
    elif chosen:
        _actions_for_many(chosen)
    else:
        st.caption(
            "Select a row to open, resume, stop, rename, tag, delete or download a run; several "
            "rows to compare them."
        )
    show_problem()


def _searched(run: Job) -> str:
    config = run.settings
    words = (run.title, *run.tags, run.status, config.optimizer, config.rule, config.model)
    return " ".join((*words, config.dataset, run.id)).lower()


def _row(run: Job) -> dict[str, object]:
    last = run.last_epoch
    return {
        "pin": "★" if run.pinned else "",
        "status": MARKS[run.status],
        "name": run.title,
        "tags": list(run.tags),
        "epoch": f"{last.epoch if last else 0}/{run.settings.epochs}",
        "train": last.train_accuracy if last else None,
        "test": last.test_accuracy if last else None,
        "gap": last.gap if last else None,
        "seconds": round(last.seconds, 1) if last else None,
        "started": datetime.fromtimestamp(run.started) if run.started else None,
        "id": run.id,
    }


def _actions(run: Job) -> None:
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
        _pin_button([run])
        with st.popover("Rename", icon=":material/edit:"):
            name = st.text_input("New name", run.settings.name, max_chars=80, key=f"name_{run.id}")
            st.button(
                "Save", on_click=attempt, args=(service().rename, run.id, name), key="save_name"
            )
        with st.popover("Tags", icon=":material/label:"):
            words = st.text_input(
                "Tags, with spaces between them", " ".join(run.tags), key=f"tags_{run.id}"
            )
            st.button(
                "Save", on_click=attempt, args=(service().tag, run.id, [words]), key="save_tags"
            )
        if not run.active:
            _delete_button([run])
        download_menu(run)


def _actions_for_many(runs: Sequence[Job]) -> None:
    with st.container(key="run_title"):
        st.markdown(f"**{len(runs)} runs**")
    with st.container(horizontal=True, key="run_actions"):
        if st.button("Compare", icon=":material/compare:", type="primary", key="compare"):
            ids = ",".join(run.id for run in runs)
            st.switch_page(COMPARE_PAGE, query_params={COMPARED: ids})
        _pin_button(runs)
        with st.popover("Add tags", icon=":material/label:"):
            words = st.text_input("Tags, with spaces between them", key="tags_of_many")
            st.button("Save", on_click=attempt, args=(_add_tags, runs, words), key="save_tags")
        ended = [run for run in runs if not run.active]
        if ended:
            _delete_button(ended)


def _pin_button(runs: Sequence[Job]) -> None:
    pinned = all(run.pinned for run in runs)
    st.button(
        "Unpin" if pinned else "Pin",
        icon=":material/keep_off:" if pinned else ":material/keep:",
        on_click=attempt,
        args=(_pin, runs, not pinned),
        key="pin",
    )


def _delete_button(runs: Sequence[Job]) -> None:
    several = f"these {len(runs)} runs, their" if len(runs) > 1 else "the run, its"
    with st.popover("Delete", icon=":material/delete:"):
        st.markdown(f"This removes {several} records and weights for good.")
        label = f"Delete {len(runs)} runs" if len(runs) > 1 else "Delete it"
        st.button(label, on_click=attempt, args=(_delete, runs), key="really_delete")


def _pin(runs: Sequence[Job], pinned: bool) -> None:
    for run in runs:
        service().pin(run.id, pinned)


def _add_tags(runs: Sequence[Job], words: str) -> None:
    for run in runs:
        service().tag(run.id, [*run.tags, words])


def _delete(runs: Sequence[Job]) -> None:
    for run in runs:
        service().delete(run.id)
