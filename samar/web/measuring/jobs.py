"""The jobs of a page that measures: found again, asked for, watched and cancelled.

The address names them (``?job=ID[,ID]``), so that a closed tab, another tab and a reload find them;
an equal job that has finished, or is under way, is found without it.

Before anything is asked for there is a first result from few images, a job too, which takes a
second or so and starts by itself (:func:`find_first`).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import streamlit as st

from samar.errors import RunError, SamarError
from samar.jobs.job import ACTIVE, RESUMABLE, Job
from samar.jobs.kind import SHORT, in_lane, kind_of
from samar.models.catalog import MODELS
from samar.networks.load import belongs_to
from samar.networks.settings import NetworkSettings
from samar.settings.declare import settings_of
from samar.settings.job import JobSettings
from samar.web.progress import progress
from samar.web.service import attempt, service, unless
from samar.web.state import FIRST_JOBS, JOB
from samar.web.text import plain

CHEAP_MACS = 300_000_000
"""What a forward pass of one image of 32 × 32 may cost for a first result that nobody asked for: a
ResNet-110, with which it takes half a minute on a slow processor."""


def problem_of_jobs(kind: str) -> str | None:
    """What is wrong with the first job that the address names and that is not there."""
    for name in filter(None, st.query_params.get(JOB, "").split(",")):
        try:
            service().get(name, kind)
        except RunError as error:
            return f"The link names a measurement that is not here. {error}"
    return None


def linked(kind: str) -> list[Job]:
    """The jobs of a kind that the address names, as far as there are such."""
    found = []
    for name in st.query_params.get(JOB, "").split(","):
        with suppress(RunError):
            found.append(service().get(name, kind))
    return found


@dataclass(frozen=True)
class Question:
    """What is asked of which networks, and the job that answers it.

    Attributes:
        inputs: the networks and images that the settings mean, from the kind's ``prepare``.
        job: one that the address names, or that has finished or is under way, or else the newest
            that ended early, which the visitor may have go on if there is one.
    """

    settings: Any
    inputs: Mapping[str, Any]
    job: Job | None

    @property
    def status(self) -> str:
        """The job's status; empty without a job."""
        return self.job.status if self.job is not None else ""

    @property
    def first(self) -> Any:
        """The settings of a first result that is worth having before the answer, or None."""
        if self.status == "finished" or not isinstance(self.settings, NetworkSettings):
            return None
        return self.settings.first


def find(wanted: Sequence[JobSettings]) -> list[Question]:
    """The questions that settings ask, with the jobs that answer them.

    Raises:
        SamarError: the settings cannot be measured, in one sentence.
    """
    kind = kind_of(wanted[0].kind)
    assert kind.prepare is not None
    questions = []
    for settings in wanted:
        service().may_ask(settings)
        questions.append(_question(settings, kind.prepare(service().store, settings)))
    return questions


def _question(settings: JobSettings, inputs: Mapping[str, Any]) -> Question:
    store, asked = service().store, essence(settings, inputs)
    early = store.all(settings.kind, status=RESUMABLE)
    early.sort(key=lambda job: not _may_go_on(job))
    named, ended = (
        next((job for job in jobs if essence(job.settings, job.inputs) == asked), None)
        for jobs in (linked(settings.kind), early)
    )
    return Question(settings, inputs, named or store.same(settings, inputs) or ended)


def essence(settings: JobSettings, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
    """What is asked of which weights on which images, whatever a person called the networks."""
    pins = inputs["networks"]
    networks = [(pin["sha256"], pin.get("images", "")) for pin in pins], pins[0]["dataset"]
    named = {name for name, setting in settings_of(type(settings)).items() if setting.pinned}
    return settings.without_idle().model_dump(exclude={"name", *named}), networks


@dataclass(frozen=True)
class First:
    """First results, shown before those that are asked for.

    Attributes:
        jobs: one for each question, where there is one.
        behind: ids of other measurements, whose end is waited for before one is begun.
    """

    jobs: Sequence[Job | None] = ()
    behind: tuple[str, ...] = ()


def find_first(questions: Sequence[Question]) -> First:
    """The first results to show before the answers.

    What is missing is begun, if it is cheap and nothing else is being measured, so that it holds
    nobody up. It ends by itself within seconds, or when this tab wants another.
    """

    def jobs() -> list[Job | None]:
        return [q.first and _question(q.first, q.inputs).job for q in questions]

    missing = [
        question.first
        for question, job in zip(questions, jobs(), strict=True)
        if question.first is not None and (job is None or job.status == "stopped")
    ]
    if not missing or not all(_is_cheap(settings) for settings in missing):
        return First(jobs())
    if service().cannot_start(more=2 * len(missing)):  # the place is for those asked for
        return First(jobs())
    store, started = service().store, st.session_state.get(FIRST_JOBS, ())
    measured = [job.id for job in store.all(status=ACTIVE) if in_lane(job.kind, SHORT)]
    if others := tuple(job_id for job_id in measured if job_id not in started):
        return First(jobs(), others)
    _cancel([job_id for job_id in started if job_id in measured])
    st.session_state[FIRST_JOBS] = tuple(service().submit(settings) for settings in missing)
    return First(jobs())


def _may_go_on(job: Job) -> bool:
    """Whether a job ended early, and the visitor may have it go on: another's is asked for anew."""
    return job.status in RESUMABLE and not service().cannot_steer(job)


def _is_cheap(settings: NetworkSettings) -> bool:
    model, _ = belongs_to(service().store, settings)
    return model is not None and MODELS[model].macs <= CHEAP_MACS


def images_there(settings: Any) -> int:
    """Of how many images a measurement is: those asked for, or all that there are."""
    with suppress(SamarError):  # the network is gone
        _, data = belongs_to(service().store, settings)
        return data.at_most(settings.images, settings.split)
    return int(settings.images)


def buttons(prefix: str, questions: Sequence[Question]) -> None:
    """Draw what can be done: compute, go on, compute anew, cancel.

    Args:
        prefix: before the keys ``compute``, ``anew`` and ``cancel``.
    """
    why_not, statuses = service().cannot_start(), {question.status for question in questions}
    jobs = [question.job for question in questions if question.job is not None]
    if statuses == {"finished"}:
        again = "Measures the same once more. What is shown was found by an earlier job."
        if st.button(
            "Compute anew",
            icon=":material/refresh:",
            key=f"{prefix}anew",
            **unless(why_not, again),
        ):
            _ask(questions, anew=True)
    elif statuses & {"", *RESUMABLE}:
        goes_on = kind_of(questions[0].settings.kind).resumable and any(map(_may_go_on, jobs))
        if st.button(
            "Continue" if goes_on else "Compute",
            icon=":material/play_arrow:",
            type="primary",
            shortcut="Ctrl+Enter",
            key=f"{prefix}compute",
            **unless(why_not),
        ):
            _ask(questions, anew=False)
    active = [job for job in _watched(questions) if job.active]
    if active:
        steer = next(filter(None, map(service().cannot_steer, active)), "")
        st.button(
            "Cancel",
            icon=":material/stop:",
            key=f"{prefix}cancel",
            on_click=_cancel,
            args=([job.id for job in active],),
            **unless(steer),
        )


def _ask(questions: Sequence[Question], *, anew: bool) -> None:
    """Request the answers, and draw the page with them.

    No callback does this: it would have the settings with which its button was drawn, and a value
    may have been typed since.
    """
    attempt(request, questions, anew)
    st.rerun()


def request(questions: Sequence[Question], anew: bool = False) -> None:
    """Submit or resume what is missing and put it into the address; it replaces what was there.

    First results go before, so that of several networks each has one before any is measured whole.
    """
    older = [job.id for job in linked(questions[0].settings.kind) if job.active]
    answered = {
        number: question.job
        for number, question in enumerate(questions)
        if question.job is not None and not anew
        if question.job.status not in RESUMABLE or _may_go_on(question.job)
    }
    for number, question in enumerate(questions):
        room = not service().cannot_start(more=1 + len(questions))
        if number not in answered and not anew and question.first is not None and room:
            service().submit(question.first)
    ids = []
    for number, question in enumerate(questions):
        job = answered.get(number)
        ids.append(service().submit(question.settings, anew=anew) if job is None else job.id)
        if job is not None and job.status in RESUMABLE:
            service().resume(job.id)
    st.query_params[JOB] = ",".join(ids)
    _cancel([job_id for job_id in older if job_id not in ids])


def _cancel(ids: Sequence[str]) -> None:
    for job_id in ids:
        with suppress(RunError):  # it has just ended by itself
            service().stop(job_id)


def how_to_repeat(wanted: Sequence[JobSettings]) -> None:
    """Show the commands that compute the same."""
    with st.expander("How to repeat this"):
        commands = "\n".join(each.command for each in wanted)
        st.code(commands, language="bash", wrap_lines=True)


def watch(
    questions: Sequence[Question],
    show: Callable[[Job], None] | None = None,
    first: First | None = None,
) -> None:
    """Draw how the jobs stand, with a bar while they work; the page runs again when one has news.

    Args:
        show: draws what a job at work knows so far.
        first: from :func:`find_first`.
    """
    first = First() if first is None else first
    early = {job.id for job in first.jobs if job is not None}
    jobs = [job for job in first.jobs if job is not None and job.status != "stopped"]
    jobs += [job for job in _watched(questions) if job.id not in early]
    others = [job for job in service().all(status=ACTIVE) if job.id in first.behind]
    with st.container(key="job_status"):
        if any(job.active for job in (*jobs, *others)):
            titles = {job.key: _title(job, job.id in early) for job in jobs if job.active}
            progress([*jobs, *others], key="job_progress", titles=titles)
        for job in jobs:
            if job.active and show is not None:
                show(job)
            elif not job.active and job.status != "finished":
                box = st.info if job.status == "stopped" else st.warning
                box(f"**{plain(_title(job, job.id in early))}**: {_ended_early(job)}")


def _title(job: Job, is_first: bool) -> str:
    few = f", first result from {images_there(job.settings)} images" if is_first else ""
    return f"{job.inputs.get('title', job.title)}{few}"


def _watched(questions: Sequence[Question]) -> list[Job]:
    """The jobs that answer, and those of an earlier request that still work."""
    jobs = {job.id: job for job in linked(questions[0].settings.kind) if job.active}
    jobs |= {question.job.id: question.job for question in questions if question.job is not None}
    return list(jobs.values())


def _ended_early(job: Job) -> str:
    word = "cancelled" if job.status == "stopped" else job.status
    why = plain(job.message) or f"{word}."
    if not kind_of(job.kind).resumable:
        return f"{why} Nothing was kept."
    if not _may_go_on(job):
        return f"{why} Somebody else asked for it; **Compute** asks anew."
    return f"{why} What was measured is kept, and **Continue** goes on from there."
