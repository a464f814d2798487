"""The Sweeps page: the form and the sweeps so far, or one sweep with its results and files."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import pandas as pd
import streamlit as st

from samar.jobs.job import Job, moment
from samar.sweeps.results import SettingResult, by_task, edited_sentence, results
from samar.sweeps.service import Sweep
from samar.web.live.progress import words_of_sweep
from samar.web.progress import progress
from samar.web.service import act_button, explained, service, show_problem, sweeps, unless
from samar.web.state import RUN, TRAIN_PAGE, show_sweep, shown_sweep
from samar.web.sweeps.form import base_panel, follow_link, new_sweep, problem_of_link
from samar.web.sweeps.results import COLUMNS, charts, differences, row, verdict
from samar.web.text import plain

REST_MS = 2000
SHOWN = 20
OPEN = {"open": True}


def show() -> None:
    """Draw the page."""
    sweep_id = shown_sweep()
    if sweep_id is not None:
        _one_sweep(sweep_id)
        return
    problem = problem_of_link()
    follow_link()
    with st.sidebar:
        base_panel()
    st.header("Sweeps", anchor=False)
    st.markdown(
        "Try settings over several seeds and compare them fairly: the best is chosen on held-out "
        "training images, the test accuracy is that of the last epoch, and runs with one seed "
        "share initial weights and data order. A sweep goes on when this tab is closed."
    )
    if problem:
        st.warning(plain(problem), icon=":material/link_off:")
    with st.container(border=True), explained():
        new_sweep()
    _sweeps_so_far()


def _sweeps_so_far() -> None:
    """Draw the newest sweeps, those that are at work with a bar."""
    found = sweeps().all()
    if found:
        st.subheader("Sweeps so far", anchor=False)
    at_work = [sweep for sweep in found if sweep.active]
    if at_work:
        titles = {sweep.job.key: sweep.job.label for sweep in at_work}
        jobs = [sweep.job for sweep in at_work]
        opened = progress(
            jobs, key="sweeps_progress", titles=titles, buttons=lambda _: OPEN, rest=REST_MS
        )
        for job in jobs:
            if job.key == opened:
                show_sweep(job.id)
                st.rerun()
    over = [sweep for sweep in found if not sweep.active]
    for sweep in over[:SHOWN]:
        row = st.container(
            border=True, horizontal=True, vertical_alignment="center", key=f"sweep_{sweep.id}"
        )
        row.button(
            plain(sweep.job.label),
            key=f"open_{sweep.id}",
            type="tertiary",
            icon=":material/open_in_new:",
            on_click=show_sweep,
            args=(sweep.id,),
        )
        row.caption(f"{words_of_sweep(sweep)} · {moment(sweep.job.created)}", width="content")
    if len(over) > SHOWN:
        st.caption(
            f"{len(over) - SHOWN} older sweeps are listed by `python -m samar sweeps`; "
            "`?sweep=` in the address opens one."
        )


def _buttons(sweep: Sweep) -> None:
    """Draw the buttons that fit a sweep's state; each acts before the page is drawn again."""
    jobs = service()
    why_not = jobs.cannot_steer(sweep.job)
    with st.container(horizontal=True, key="sweep_buttons", width="content"):
        if sweep.state == "running":
            _button("Pause", "pause", jobs.pause, sweep, why_not, "The run that trains ends first.")
        if jobs.can_resume(sweep.job):
            cannot = why_not or jobs.cannot_resume(sweep.job)
            _button("Resume", "play_arrow", jobs.resume, sweep, cannot, primary=True)
        if sweep.training or sweep.state in ("running", "paused"):
            _button("Stop", "stop", jobs.stop, sweep, why_not, "Saves what trains; can be resumed.")
        if not sweep.training:
            with st.popover("Delete", icon=":material/delete:", **unless(why_not)):
                st.markdown(f"This removes the sweep and its {sweep.members} runs for good.")
                act_button("Delete it", "", _delete, sweep.id, key="sweep_really_delete")


def _button(
    label: str,
    icon: str,
    act: Callable[[str], object],
    sweep: Sweep,
    why_not: str,
    help: str | None = None,
    *,
    primary: bool = False,
) -> None:
    act_button(
        label,
        icon,
        act,
        sweep.id,
        why_not=why_not,
        help=help,
        type="primary" if primary else "secondary",
        key=f"sweep_{label.lower()}",
    )


def _delete(sweep_id: str) -> None:
    service().delete(sweep_id)
    show_sweep(None)


def _one_sweep(sweep_id: str) -> None:
    """Draw a sweep and keep it up to date while it is active."""
    with explained():
        sweep = sweeps().get(sweep_id)
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.subheader(plain(sweep.job.label), anchor=False, width="content")
        _buttons(sweep)
    st.button(
        "All sweeps",
        icon=":material/arrow_back:",
        type="tertiary",
        key="sweep_back",
        on_click=show_sweep,
        args=(None,),
    )
    show_problem()
    _state_of(sweep)
    with st.expander("How to repeat this"):
        st.code(sweep.spec.command, language="bash", wrap_lines=True)


def _state_of(sweep: Sweep) -> None:
    with st.container(key="sweep_status"):
        if sweep.active:
            progress([sweep.job], key="sweep_progress", titles={sweep.job.key: ""}, rest=REST_MS)
        else:
            st.markdown(f"**{words_of_sweep(sweep)}**")
    if sweep.state == "failed":
        st.error(plain(sweep.job.message), icon=":material/error:")
    if sweep.state == "interrupted":
        st.warning("The processes of some runs are gone; **Resume** goes on from what they saved.")
    members = sweeps().members(sweep)
    found = results(sweep.spec, members)
    tasks = by_task(found)
    if len(tasks) > 1:
        task = str(st.selectbox("Images and network", list(tasks), key="sweep_task"))
        found = tasks.get(task, found)
    if told := edited_sentence(found):
        st.warning(told, icon=":material/edit:")
    verdict(sweep, found)
    charts(sweep, found)
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
        "#": run.key,
        "run": f"{run.title}{run.badge}",
        "status": run.status,
        "epoch": f"{last.epoch if last else 0}/{getattr(run.settings, 'epochs', '?')}",
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
        {
            "number": run.key,
            "run": run.id,
            "status": run.status,
            "edits": run.edits,
            "seed": run.settings.seed,
        }
        | sweep.spec.values(run.settings)
        | (asdict(run.last_epoch) if run.last_epoch else {})
        for run in sweeps().members(sweep)
    ]
    return str(pd.DataFrame(rows).to_csv(index=False))
