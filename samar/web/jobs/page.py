"""The Jobs page: what computes and waits, the table of all that was, and what to do with it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from samar.errors import RunError, SamarError
from samar.jobs.engine.cluster import NONE_THERE, dispatcher
from samar.jobs.engine.local import RAY, engine
from samar.jobs.job import RESUMABLE, Job
from samar.jobs.kind import SHORT, in_lane, kinds, trains
from samar.jobs.summary import MARKS
from samar.web.controls import segmented
from samar.web.jobs.details import details, open_job
from samar.web.jobs.files import download_menu, offer_import
from samar.web.jobs.table import filtered, kind_title, select_jobs
from samar.web.live.progress import QUEUE, at_work
from samar.web.live.stage import MOST_RUNS
from samar.web.progress import progress
from samar.web.service import act_button, attempt, explained, service, show_problem, unless
from samar.web.state import COMPARE_PAGE, COMPARED, JOB, RUN, SELECTED, TRAIN_PAGE
from samar.web.text import plain

REST_MS = 2000
MOST_WAITING = 5
REPEAT_HELP = "The same settings once more, with the edits that were made while it trained."
VIEWS = {"runs": "Runs", "measurements": "Measurements", "all": "Everything"}


def jobs_page() -> None:
    """Draw the page; the stream tells it of what is at work."""
    st.header("Jobs", anchor=False)
    jobs = service().all()
    details(jobs)
    if jobs:
        st.fragment(explained()(_board))(_opened(jobs))
    else:
        st.info("No runs yet.", icon=":material/info:")
        st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
    offer_import()


def _opened(jobs: Sequence[Job]) -> list[tuple[str, str]]:
    """What is told of the job that the address names, above the table."""
    return [(job.status, job.label) for job in jobs if job.id == st.query_params.get(JOB)]


def _board(opened: Sequence[tuple[str, str]]) -> None:
    jobs = service().all()
    _cluster(jobs)
    if not jobs or _opened(jobs) != opened:
        st.rerun()
    _queue()
    view = segmented("Show", "show", VIEWS)
    if view == "runs":
        jobs = [job for job in jobs if job.kind == "race" or trains(job.kind)]
    elif view == "measurements":
        jobs = [job for job in jobs if _measures(job)]
    if shown := filtered(jobs):
        with st.container(key="runs_table"):
            selected = st.session_state.get(SELECTED, ())
            chosen = select_jobs(shown, f"jobs_{view}", selected, runs=view == "runs")
        st.session_state[SELECTED] = [job.id for job in chosen]
        if len(chosen) == 1:
            _actions(chosen[0])
        elif chosen:
            _actions_for_many(chosen)
        else:
            st.caption(
                "Select a row to open, repeat, resume, stop, rename, tag, delete or download a "
                "job; several rows to compare runs."
            )
    else:
        none = "No jobs yet." if view == "all" else f"No {view} yet."
        words = "Nothing passes the filter." if jobs else none
        st.info(words, icon=":material/filter_alt:")
    show_problem()


def _measures(job: Job) -> bool:
    """Whether it is a measurement, perhaps a script's."""
    kind = kinds().get(job.kind)
    return kind is not None and (kind.lane == SHORT or (kind.script and not kind.trains))


def _cluster(jobs: Sequence[Job]) -> None:
    """How busy the cluster is, where it does the jobs."""
    if engine() != RAY:
        return
    if (at_work := dispatcher()) is None:
        st.warning(NONE_THERE, icon=":material/dns:")
    else:
        page = f" [Ray's page]({at_work.page})" if at_work.page else ""
        st.caption(f"{at_work.words(jobs)}{page}")


def _queue() -> None:
    """What computes now, and what waits; members of a sweep wait with it, a race is one."""
    jobs = at_work()
    with st.container(border=bool(jobs), key="queue"):
        waiting = [job for job in jobs if job.status == "queued"]
        shown = [job for job in jobs if job not in waiting[MOST_WAITING:]]
        titles = {job.key: f"{kind_title(job)} {job.label}" for job in shown}
        opened = progress(
            jobs, key="queue_progress", titles=titles, buttons=_in_queue, name=QUEUE, rest=REST_MS
        )
        if len(waiting) > MOST_WAITING:
            st.caption(f"{len(waiting) - MOST_WAITING} more wait.")
    for job in jobs:
        if job.key == opened:
            open_job(job)


def _in_queue(job: Job) -> dict[str, Any]:
    return {"open": True, "stop": _stops(job), "whyNot": service().cannot_steer(job)}


def _actions(job: Job) -> None:
    with st.container(key="run_title"):
        st.markdown(f"**{plain(job.label)}** · {MARKS[job.status]}")
    if job.message:
        st.caption(plain(job.message))
    steer = service().cannot_steer(job)
    with st.container(horizontal=True, key="run_actions"):
        if st.button("Open", icon=":material/open_in_new:", type="primary", key="open"):
            open_job(job)
        if job.status == "paused" or job.status in RESUMABLE:
            why_not = steer or service().cannot_resume(job)
            act_button("Resume", "resume", partial(service().resume, job.id), why_not=why_not)
        if job.active:
            _stop_button(job, "stop")
        elif st.button(
            "Repeat",
            icon=":material/replay:",
            key="repeat",
            **unless(service().cannot_start(job.settings), REPEAT_HELP),
        ):
            attempt(_repeat, job)
        _pin_button([job])
        with st.popover("Rename", icon=":material/edit:", **unless(steer)):
            # What was given elsewhere meanwhile makes another widget, which begins with that.
            name, key = job.settings.name, f"name_{job.id}_{job.settings.name}"
            st.text_input("New name", name, max_chars=80, key=key)
            act_button("Save", "", _rename, job.id, key, key="save_name")
        with st.popover("Tags", icon=":material/label:", **unless(steer)):
            tags, key = " ".join(job.tags), f"tags_{job.id}_{' '.join(job.tags)}"
            st.text_input("Tags, with spaces between them", tags, key=key)
            act_button("Save", "", _tag, job.id, key, key="save_tags")
        if not job.active:
            _delete_button([job])
        download_menu(job)


def _actions_for_many(jobs: Sequence[Job]) -> None:
    runs = [job for job in jobs if trains(job.kind)]
    comparable = [job for job in runs if job.kind == "train"]
    word = "runs" if len(runs) == len(jobs) else "jobs"
    with st.container(key="run_title"):
        st.markdown(f"**{len(jobs)} {word}**")
    with st.container(horizontal=True, key="run_actions"):
        if len(comparable) > 1 and st.button(
            "Compare", icon=":material/compare:", type="primary", key="compare"
        ):
            st.switch_page(COMPARE_PAGE, query_params={COMPARED: _ids(comparable)})
        if len(runs) > 1 and st.button(
            "Show on one stage",
            icon=":material/stadium:",
            key="stage_together",
            disabled=len(runs) > MOST_RUNS,
            help=f"Curves and landscapes of up to {MOST_RUNS} runs, on one clock.",
        ):
            st.switch_page(TRAIN_PAGE, query_params={COMPARED: _ids(runs)})
        _pin_button(jobs)
        with st.popover("Add tags", icon=":material/label:", **unless(_cannot_steer(jobs))):
            st.text_input("Tags, with spaces between them", key="tags_of_many")
            act_button("Save", "", _add_tags, jobs, key="save_tags")
        if ended := [job for job in jobs if not job.active]:
            _delete_button(ended)


def _ids(runs: Sequence[Job]) -> str:
    return ",".join(run.id for run in runs)


def _cannot_steer(jobs: Sequence[Job]) -> str:
    """Why the visitor may not change these jobs, by the first of them that is not theirs."""
    return next(filter(None, map(service().cannot_steer, jobs)), "")


def _stop_button(job: Job, key: str) -> None:
    why_not = service().cannot_steer(job)
    act_button(_stops(job), "stop", service().stop, job.id, why_not=why_not, key=key)


def _stops(job: Job) -> str:
    return "Cancel" if in_lane(job.kind, SHORT) else "Stop"


def _pin_button(jobs: Sequence[Job]) -> None:
    pinned = all(job.pinned for job in jobs)
    label, icon = ("Unpin", "keep_off") if pinned else ("Pin", "keep")
    act_button(label, icon, _pin, jobs, not pinned, why_not=_cannot_steer(jobs), key="pin")


def _delete_button(jobs: Sequence[Job]) -> None:
    removed, its = (f"these {len(jobs)} jobs", "their") if len(jobs) > 1 else ("the job", "its")
    with st.popover("Delete", icon=":material/delete:", **unless(_cannot_steer(jobs))):
        if count := _owned(jobs):
            removed += f" and {its} {count} run{'s' * (count > 1)}"
        st.markdown(f"This removes {removed}, with records and files, for good.")
        label = f"Delete {len(jobs)} jobs" if len(jobs) > 1 else "Delete it"
        act_button(label, "", _delete, jobs, key="really_delete")


def _owned(jobs: Sequence[Job]) -> int:
    """How many runs of races and sweeps go with these jobs, besides those that are among them."""
    ids = [job.id for job in jobs]
    counts = service().store.counts(ids)
    return sum(sum(each.values()) for each in counts.values()) - sum(j.parent in ids for j in jobs)


def _repeat(job: Job) -> None:
    """The same settings and edits once more; a training run is shown at once."""
    new = service().again(job)
    if job.kind in ("train", "race"):
        st.switch_page(TRAIN_PAGE, query_params={RUN: new})
    st.session_state[SELECTED] = [new]
    st.toast(f"{plain(job.label)} is in the queue once more.")
    st.rerun()


def _pin(jobs: Sequence[Job], pinned: bool) -> None:
    _each(jobs, lambda job: service().pin(job.id, pinned))


def _rename(job_id: str, key: str) -> None:
    """As typed by now: the button may have been drawn before that came. So with tags."""
    service().rename(job_id, st.session_state[key])


def _tag(job_id: str, key: str) -> None:
    service().tag(job_id, [st.session_state[key]])


def _add_tags(jobs: Sequence[Job]) -> None:
    new = st.session_state["tags_of_many"]
    _each(jobs, lambda job: service().tag(job.id, [*service().get(job.id).tags, new]))


def _delete(jobs: Sequence[Job]) -> None:
    ids = [job.id for job in jobs]
    owners = [job for job in jobs if job.parent not in ids]  # the others go with theirs
    _each(owners, lambda job: service().delete(job.id))


def _each(jobs: Sequence[Job], act: Callable[[Job], None]) -> None:
    """Act on each job, also where it fails with one of them.

    Raises:
        RunError: it failed with some; why, for each.
    """
    problems = []
    for job in jobs:
        try:
            act(job)
        except SamarError as error:
            problems.append(str(error))
    if problems:
        raise RunError(" ".join(problems))
