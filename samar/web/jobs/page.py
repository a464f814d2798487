"""The Jobs page: what computes and waits, the table of all that was, and what to do with it."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from samar.errors import RunError, SamarError
from samar.jobs.engine.cluster import NONE_THERE, dispatcher
from samar.jobs.engine.local import RAY, engine
from samar.jobs.job import HELD, RESUMABLE, Job
from samar.jobs.kind import SHORT, kinds, trains
from samar.jobs.store import MEMBER
from samar.jobs.summary import progress, where
from samar.web.controls import segmented
from samar.web.jobs.details import details, open_job
from samar.web.jobs.files import download_menu, offer_import
from samar.web.jobs.table import MARKS, filtered, kind_title, select_jobs
from samar.web.live.stage import MOST_RUNS
from samar.web.service import act_button, attempt, explained, service, show_problem, unless
from samar.web.state import COMPARE_PAGE, COMPARED, JOB, RUN, SELECTED, TRAIN_PAGE
from samar.web.text import plain

REFRESH_SECONDS = 2.0
MOST_WAITING = 5
REPEAT_HELP = "The same settings once more, with the edits that were made while it trained."
VIEWS = {"runs": "Runs", "measurements": "Measurements", "all": "Everything"}


def jobs_page() -> None:
    """Draw the page; it refreshes itself while any job is active."""
    st.header("Jobs", anchor=False)
    jobs = service().all()
    details(jobs)
    if jobs:
        active = any(job.active for job in jobs)
        board = st.fragment(explained()(_board), run_every=REFRESH_SECONDS if active else None)
        board(active, _opened(jobs))
    else:
        st.info("No runs yet.", icon=":material/info:")
        st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
    offer_import()


def _opened(jobs: Sequence[Job]) -> list[tuple[str, str]]:
    """What is told of the job that the address names, above the table."""
    return [(job.status, job.label) for job in jobs if job.id == st.query_params.get(JOB)]


def _board(was_active: bool, opened: Sequence[tuple[str, str]]) -> None:
    jobs = service().all()
    _cluster(jobs)
    if not jobs or (was_active and not any(job.active for job in jobs)) or _opened(jobs) != opened:
        st.rerun()
    _queue(jobs)
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


def _queue(jobs: Sequence[Job]) -> None:
    """What computes now, and what waits; members of a sweep wait with it, a race is one."""
    running = [job for job in jobs if job.status in HELD and MEMBER not in job.inputs]
    waiting = [job for job in reversed(jobs) if job.status == "queued" and job.parent is None]
    if not running and not waiting:
        return
    with st.container(border=True, key="queue"):
        for job in (*running, *waiting[:MOST_WAITING]):
            words = {"queued": "waits", "paused": "paused"}.get(job.status) or progress(job)
            if elsewhere := where(job):
                words = f"{words or 'starting…'}, on {elsewhere}"
            title = f"**{plain(kind_title(job))}** {plain(job.label)}"
            share = min(1.0, job.done / job.total) if job.total else 0.0
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.progress(share, f"{title} · {plain(words or 'starting…')}")
                if st.button("Open", icon=":material/open_in_new:", key=f"open_{job.id}"):
                    open_job(job)
                _stop_button(job, f"stop_{job.id}")
        if len(waiting) > MOST_WAITING:
            st.caption(f"{len(waiting) - MOST_WAITING} more wait.")


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
    known = kinds().get(job.kind)
    label = "Cancel" if known and known.lane == SHORT else "Stop"
    why_not = service().cannot_steer(job)
    act_button(label, "stop", service().stop, job.id, why_not=why_not, key=key)


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
