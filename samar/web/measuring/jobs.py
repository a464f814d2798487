"""The jobs of a page that measures: found again, asked for, watched and cancelled.

The address names them (``?job=ID[,ID]``), so that a closed tab, another tab and a reload find them;
an equal job that has finished, or is under way, is found without it.

Before anything is asked for there is a first result from few images, a job too, which takes a
second or so and starts by itself (:func:`find_first`).
"""

import time
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
from samar.web.service import attempt, explained, service, unless
from samar.web.state import FIRST_JOBS, JOB
from samar.web.text import plain

REFRESH_SECONDS = 0.4
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


def find(wanted: Sequence[JobSettings]) -> list[Job | None]:
    """For each of these settings the job to show: one that the address names, an equal one that has
    finished or is under way, or else the newest equal one that ended early, which the visitor may
    have go on if there is one.

    Raises:
        SamarError: the settings cannot be measured, in one sentence.
    """
    kind = kind_of(wanted[0].kind)
    assert kind.prepare is not None
    store = service().store
    named, early = linked(kind.name), store.all(kind.name, status=RESUMABLE)
    early.sort(key=lambda job: not _may_go_on(job))
    found = []
    for settings in wanted:
        service().may_ask(settings)
        inputs = kind.prepare(store, settings)
        asked = _question(settings, inputs)
        own, ended = (
            next((job for job in jobs if _question(job.settings, job.inputs) == asked), None)
            for jobs in (named, early)
        )
        found.append(own or store.same(settings, inputs) or ended)
    return found


@dataclass(frozen=True)
class First:
    """First results, shown before those that are asked for.

    Attributes:
        jobs: one for each of the settings, where there is one.
        behind: ids of other measurements, whose end is waited for before one is begun.
    """

    jobs: Sequence[Job | None] = ()
    behind: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether one is under way."""
        return any(job is not None and job.active for job in self.jobs)


def find_first(wanted: Sequence[NetworkSettings], jobs: Sequence[Job | None]) -> First:
    """For each of these settings the first result to show before the one asked for.

    What is missing is begun, if it is cheap and nothing else is being measured, so that it holds
    nobody up. It ends by itself within seconds, or when this tab wants another.

    Args:
        jobs: those of ``wanted``, from :func:`find`.
    """
    first = [
        None if job is not None and job.status == "finished" else settings.first
        for settings, job in zip(wanted, jobs, strict=True)
    ]
    found = [None if settings is None else find([settings])[0] for settings in first]
    missing = [
        settings
        for settings, job in zip(first, found, strict=True)
        if settings is not None and (job is None or job.status == "stopped")
    ]
    if not missing or not all(_is_cheap(settings) for settings in missing):
        return First(found)
    if service().cannot_start(more=2 * len(missing)):  # the place is for those asked for
        return First(found)
    store, own = service().store, st.session_state.get(FIRST_JOBS, ())
    measured = [job.id for job in store.all(status=ACTIVE) if in_lane(job.kind, SHORT)]
    if others := tuple(job_id for job_id in measured if job_id not in own):
        return First(found, others)
    _cancel([job_id for job_id in own if job_id in measured])
    st.session_state[FIRST_JOBS] = tuple(service().submit(settings) for settings in missing)
    return First([None if settings is None else find([settings])[0] for settings in first])


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


def _question(settings: JobSettings, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
    """What is asked of which weights on which images, whatever a person called the networks."""
    pins = inputs["networks"]
    networks = [(each["sha256"], each.get("images", "")) for each in pins], pins[0]["dataset"]
    named = {name for name, known in settings_of(type(settings)).items() if known.pinned}
    return settings.without_idle().model_dump(exclude={"name", *named}), networks


def buttons(prefix: str, wanted: Sequence[JobSettings], jobs: Sequence[Job | None]) -> None:
    """Draw what can be done: compute, go on, compute anew, cancel.

    Args:
        prefix: before the keys ``compute``, ``anew`` and ``cancel``.
        jobs: those of ``wanted``, from :func:`find`.
    """
    known, why_not = [job for job in jobs if job is not None], service().cannot_start()
    if len(known) == len(jobs) and all(job.status == "finished" for job in known):
        if st.button(
            "Compute anew",
            icon=":material/refresh:",
            key=f"{prefix}anew",
            **unless(
                why_not, "Measures the same once more. What is shown was found by an earlier job."
            ),
        ):
            _ask(wanted, [None] * len(jobs), anew=True)
    elif len(known) < len(jobs) or any(job.status in RESUMABLE for job in known):
        goes_on = kind_of(wanted[0].kind).resumable and any(map(_may_go_on, known))
        if st.button(
            "Continue" if goes_on else "Compute",
            icon=":material/play_arrow:",
            type="primary",
            shortcut="Ctrl+Enter",
            key=f"{prefix}compute",
            **unless(why_not),
        ):
            _ask(wanted, jobs, anew=False)
    active = [job for job in _watched(wanted[0].kind, jobs) if job.active]
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


def _ask(wanted: Sequence[JobSettings], jobs: Sequence[Job | None], *, anew: bool) -> None:
    """Request it, and draw the page with it.

    No callback does this: it would have the settings with which its button was drawn, and a value
    may have been typed since.
    """
    attempt(request, wanted, jobs, anew)
    st.rerun()


def how_to_repeat(wanted: Sequence[JobSettings]) -> None:
    """Show the commands that compute the same."""
    with st.expander("How to repeat this"):
        commands = "\n".join(each.command for each in wanted)
        st.code(commands, language="bash", wrap_lines=True)


def watch(
    kind: str,
    jobs: Sequence[Job | None],
    show: Callable[[Job], None] | None = None,
    first: First | None = None,
) -> None:
    """Say how the jobs stand, with a bar while they work; the page runs again when one has news.

    Args:
        show: draws what a job at work knows so far.
        first: of first results, from :func:`find_first`.
    """
    first = First() if first is None else first
    early = {job.id: job for job in first.jobs if job is not None and job.status != "stopped"}
    drawn = {job.id: _state(job) for job in [*early.values(), *_watched(kind, jobs)]}
    active = any(state[0] in ("queued", "running") for state in drawn.values())
    run_every = REFRESH_SECONDS if active or first.behind else None
    st.fragment(explained()(_watch), run_every=run_every)(
        drawn, show, frozenset(early), first.behind
    )


def request(wanted: Sequence[JobSettings], jobs: Sequence[Job | None], anew: bool) -> None:
    """Submit or resume what is missing and put it into the address; it replaces what was there.

    First results go before, so that of several networks each has one before any is measured whole.
    """
    older = [job.id for job in linked(wanted[0].kind) if job.active]
    jobs = [
        job if job and (job.status not in RESUMABLE or _may_go_on(job)) else None for job in jobs
    ]
    for settings, job in zip(wanted, jobs, strict=True):
        first = settings.first if isinstance(settings, NetworkSettings) else None
        room = not service().cannot_start(more=1 + len(wanted))
        if job is None and not anew and first is not None and room:
            service().submit(first)
    ids = []
    for settings, job in zip(wanted, jobs, strict=True):
        if job is None:
            ids.append(service().submit(settings, anew=anew))
        else:
            ids.append(job.id)
            if job.status in RESUMABLE:
                service().resume(job.id)
    st.query_params[JOB] = ",".join(ids)
    _cancel([job_id for job_id in older if job_id not in ids])


def _cancel(ids: Sequence[str]) -> None:
    for job_id in ids:
        with suppress(RunError):  # it has just ended by itself
            service().stop(job_id)


def _watched(kind: str, jobs: Sequence[Job | None]) -> list[Job]:
    """These jobs, and those of an earlier request that still work."""
    shown = {job.id: job for job in jobs if job is not None}
    return list(({job.id: job for job in linked(kind) if job.active} | shown).values())


def _state(job: Job) -> tuple[str, str, tuple[float, ...]]:
    """What a page shows of a job, beside its progress."""
    kept = service().store.records.artifacts(job.key)
    return job.status, job.message, tuple(artifact.at for artifact in kept)


def _watch(
    drawn: dict[str, tuple[str, str, tuple[float, ...]]],
    show: Callable[[Job], None] | None,
    first: frozenset[str],
    behind: tuple[str, ...],
) -> None:
    if behind and not any(job.id in behind for job in service().all(status=ACTIVE)):
        st.rerun()
    with st.container(key="job_status"):
        for job_id, state in drawn.items():
            try:
                job = service().get(job_id)
            except RunError:  # deleted elsewhere
                st.rerun()
            if _state(job) != state:
                st.rerun()
            title = f"**{plain(str(job.inputs.get('title', job.title)))}**"
            if job_id in first:
                title += f", first result from {images_there(job.settings)} images"
            if job.active:
                share = min(1.0, job.done / job.total) if job.total else 0.0
                st.progress(share, f"{title}: {_progress(job)}")
                if show is not None:
                    show(job)
            elif job.status != "finished":
                box = st.info if job.status == "stopped" else st.warning
                box(f"{title}: {_ended_early(job)}")


def _progress(job: Job) -> str:
    if job.status == "queued":
        return "queued; it starts when the measurement before it ends."
    words = plain(job.doing) or "Starting…"
    if not job.total:
        return words
    words += f", {job.done:,} of {job.total:,}"
    began, before = _first_sight(job.id, job.claim, job.doing, job.done)
    if job.done > before:
        left = (time.monotonic() - began) * (job.total - job.done) / (job.done - before)
        words += f" · about {left:,.0f} s left"
    return words


def _ended_early(job: Job) -> str:
    word = "cancelled" if job.status == "stopped" else job.status
    why = plain(job.message) or f"{word}."
    if not kind_of(job.kind).resumable:
        return f"{why} Nothing was kept."
    if not _may_go_on(job):
        return f"{why} Somebody else asked for it; **Compute** asks anew."
    return f"{why} What was measured is kept, and **Continue** goes on from there."


@st.cache_resource(max_entries=64, show_spinner=False)
def _first_sight(job_id: str, claim: int, doing: str, _done: int) -> tuple[float, int]:
    """When a piece of work was first seen, and how far it was."""
    return time.monotonic(), _done
