"""One sweep on the page: buttons, progress, results, tables and files."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import pandas as pd
import streamlit as st

from samar.errors import RunError
from samar.jobs.job import Job
from samar.sweeps.results import SettingResult, by_task, results
from samar.sweeps.store import Sweep
from samar.sweeps.words import command_line
from samar.web.service import explained, show_problem, sweeps
from samar.web.state import RUN, TRAIN_PAGE, show_sweep
from samar.web.sweeps.list import REFRESH_SECONDS, show_progress, state_line, sweep_buttons
from samar.web.sweeps.results import COLUMNS, differences, pictures, row, verdict
from samar.web.text import plain


def sweep_page(sweep_id: str) -> None:
    """Draw a sweep and keep it up to date while it is active."""
    with explained():
        sweep = sweeps().get(sweep_id)
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.subheader(plain(sweep.title), anchor=False, width="content")
        sweep_buttons(sweep)
    st.button(
        "All sweeps",
        icon=":material/arrow_back:",
        type="tertiary",
        key="sweep_back",
        on_click=show_sweep,
        args=(None,),
    )
    show_problem()
    every = REFRESH_SECONDS if sweep.active else None
    st.fragment(_watch, run_every=every)(sweep.id, (sweep.state, bool(sweep.training)))
    with st.expander("How to repeat this"):
        st.code(command_line(sweep.spec), language="bash", wrap_lines=True)


def _watch(sweep_id: str, drawn: tuple[str, bool]) -> None:
    try:
        sweep = sweeps().get(sweep_id)
    except RunError:  # deleted elsewhere: the page says so
        st.rerun()
    if (sweep.state, bool(sweep.training)) != drawn:
        st.rerun()
    with st.container(key="sweep_status"):
        st.markdown(f"**{state_line(sweep)}**")
    if sweep.state != "finished":
        show_progress(sweep)
    if sweep.state == "interrupted":
        st.warning("The processes of some runs are gone; **Resume** goes on from what they saved.")
    members = sweeps().members(sweep)
    found = results(sweep.spec, members)
    tasks = by_task(found)
    if len(tasks) > 1:
        task = str(st.selectbox("Images and network", list(tasks), key="sweep_task"))
        found = tasks.get(task, found)
    verdict(sweep, found)
    pictures(sweep, found)
    differences(found)
    _tables(sweep, found, members)


def _tables(sweep: Sweep, found: Sequence[SettingResult], members: Sequence[Job]) -> None:
    """All settings, all runs, and both as files."""
    st.subheader("All settings", anchor=False)
    order = sorted(found, key=lambda r: -r.val.mean if r.val.n and r.val.mean == r.val.mean else 1)
    table = pd.DataFrame([row(result) for result in order])
    st.dataframe(table, hide_index=True, column_config=COLUMNS, key="sweep_settings")
    st.caption(
        "Mean ± standard deviation over the seeds that finished, at the last epoch, never the "
        "best; seconds and gradient evaluations are means of a run."
    )
    with st.container(horizontal=True, key="sweep_downloads"):
        _download("Settings (CSV)", partial(_settings_csv, sweep), sweep, "settings.csv")
        _download("Runs (CSV)", partial(_runs_csv, sweep), sweep, "runs.csv")
        _download("Sweep (JSON)", partial(sweep.spec.model_dump_json, indent=2), sweep, "spec.json")
    with st.expander(f"The {len(members)} runs"):
        chosen = st.dataframe(
            pd.DataFrame([_member(run) for run in members]),
            hide_index=True,
            on_select="rerun",
            selection_mode="single-row",
            key=f"sweep_members_{len(members)}",
        )
        rows = chosen["selection"]["rows"]
        if rows and st.button("Open this run", icon=":material/open_in_new:", key="sweep_open"):
            st.switch_page(TRAIN_PAGE, query_params={RUN: members[rows[0]].id})


def _member(run: Job) -> dict[str, object]:
    last = run.last_epoch
    return {
        "status": run.status,
        "run": run.title,
        "epoch": f"{last.epoch if last else 0}/{run.settings.epochs}",
        "validation": last.val_accuracy if last else None,
        "test": last.test_accuracy if last else None,
        "message": run.message,
        "id": run.id,
    }


def _download(label: str, make: Callable[[], str], sweep: Sweep, ending: str) -> None:
    st.download_button(
        label,
        make,
        f"samar-sweep-{sweep.id}-{ending}",
        "application/json" if ending.endswith("json") else "text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def _settings_csv(sweep: Sweep) -> str:
    found = results(sweep.spec, sweeps().members(sweep))
    return str(pd.DataFrame([result.row() for result in found]).to_csv(index=False))


def _runs_csv(sweep: Sweep) -> str:
    """Every member with its varied settings, seed, status and the figures of its last epoch."""
    rows = [
        {"run": run.id, "status": run.status, "seed": run.settings.seed}
        | sweep.spec.values(run.settings)
        | (asdict(run.last_epoch) if run.last_epoch else {})
        for run in sweeps().members(sweep)
    ]
    return str(pd.DataFrame(rows).to_csv(index=False))
