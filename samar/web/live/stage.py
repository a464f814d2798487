"""News for the stage: the runs that an address names, read from the store and put in words."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from samar.charts.stage.feed import Feed, Mislabelled, StageRun
from samar.charts.stage.still import said
from samar.errors import RunError
from samar.jobs.edits import edited
from samar.jobs.job import WAITS, Job, job_dir
from samar.jobs.kind import training_kinds
from samar.jobs.pace import OFF, pace_of
from samar.jobs.records import OBEYED, Event
from samar.kinds.race import title_of as race_title
from samar.kinds.train import REFINED_SECONDS
from samar.settings.declare import settings_of
from samar.settings.job import JobSettings
from samar.web.live.follow import LOOK_SECONDS, REST_SECONDS
from samar.web.service import history, service

MOST_RUNS = 4
"""So many stand on one stage."""


@dataclass(frozen=True)
class Shown:
    """The runs that stand on the stage.

    Attributes:
        whole: the job that is steered, a run or a race; None for runs that were put together.
        runs: with its records.
        origin: the run that a branch left.
    """

    whole: Job | None = None
    runs: tuple[Job, ...] = ()
    origin: Job | None = None

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Those that an address names for it."""
        return self.runs if self.whole is None else (self.whole,)

    @property
    def state(self) -> str:
        """What makes the page draw itself again when it changes."""
        return json.dumps([[job.key, job.status, job.edits] for job in self._all])

    @property
    def numbers(self) -> str:
        """What is shown, as the stream's address names it."""
        return ",".join(str(job.key) for job in self.jobs)

    @property
    def active(self) -> bool:
        """Whether there will be news: for a while after its end a landscape gets finer."""
        now = time.time()
        return any(j.active or now - (j.finished or 0) < REFINED_SECONDS for j in self._all)

    @property
    def _all(self) -> tuple[Job, ...]:
        return self.runs if self.whole is None else (self.whole, *self.runs)


def shown_of(names: Sequence[str]) -> Shown:
    """The run, the race or the runs that an address names; nothing without a name.

    Raises:
        RunError: there is no such run or race.
    """
    if len(names) != 1:
        return Shown(None, tuple(_run(name) for name in names))
    job = service().get(names[0], (*training_kinds(), "race"))
    if job.kind == "race":
        return Shown(job, tuple(service().store.members(job)))
    return Shown(job, (job,), _origin(job))


def _run(name: str) -> Job:
    return service().get(name, training_kinds())


def _origin(job: Job) -> Job | None:
    branch = job.inputs.get("branch")
    if branch is None:
        return None
    try:
        return _run(str(branch["run"]))
    except RunError:  # deleted meanwhile
        return None


class StageView:
    """The runs of an address, with their tiles, words, and how the one that is steered stands."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names: Sequence[str] = names[:MOST_RUNS]
        self._feed = Feed()
        self._told: dict[str, Any] = {}
        self.rest = LOOK_SECONDS

    def read(self) -> None:
        """Look at the store; who does counts as somebody who watches."""
        self._shown = shown_of(self._names)
        self._names = [job.id for job in self._shown.jobs]  # which are found at once
        self.rest = LOOK_SECONDS if self._shown.active else REST_SECONDS
        if self._shown.whole is not None and self._shown.active:
            service().watch(self._shown.whole)
        ghost = [_stage_run(self._shown.origin, ghost=True)] if self._shown.origin else []
        self._runs = [*ghost, *_runs(self._shown)]

    def news(self) -> dict[str, Any]:
        """See :class:`samar.web.live.follow.View`."""
        beside = _beside(self._shown, self._runs)
        new = {name: value for name, value in beside.items() if self._told.get(name) != value}
        self._told |= new
        return self._feed.message(self._runs) | new

    def whole(self) -> dict[str, Any]:
        """See :class:`samar.web.live.follow.View`."""
        return Feed().message(self._runs) | _beside(self._shown, self._runs)


def empty_stage() -> dict[str, Any]:
    """News for a stage without a run."""
    return {"anew": True, "members": []} | _beside(Shown(), [])


def _beside(shown: Shown, runs: Sequence[StageRun]) -> dict[str, Any]:
    """What is told besides the records."""
    lead = max(shown.runs, key=lambda job: job.active, default=None)
    states = {job.id: job.status for job in shown.runs if job.status in ("diverged", "failed")}
    return {
        **said(shown.whole, runs, states, _unobserved(shown.whole or lead)),
        "state": shown.state,
        "job": None if shown.whole is None else _steered(shown.whole, runs),
    }


def _steered(job: Job, runs: Sequence[StageRun]) -> dict[str, Any]:
    """How the job stands that the stage's controls steer, one of the runs or a race of them."""
    itself = [run.settings for run in runs if run.number == job.key]
    now: Any = itself[0] if itself else edited(job.settings, history(job).events())
    model: type[JobSettings] = type(now)
    live = [name for name, known in settings_of(model).items() if known.live]
    return {
        "number": job.key,
        "status": job.status,
        "waits": job.message == WAITS,
        "live": {name: getattr(now, name) for name in live if now.applies(name)},
        "pace": pace_of(job.inputs, job.summary),
        "obeyed": job.summary.get(OBEYED, [0, 0]),
    }


def _unobserved(job: Job | None) -> str:
    """Why nothing is measured while a job trains, in a sentence; empty if it is."""
    if job is None or (told := str(job.summary.get("observer", ""))):
        return told if job else ""
    if pace_of(job.inputs, job.summary) == OFF:
        return "Nothing is measured at pace off." + " Measure now does it once." * job.active
    return ""


def _runs(shown: Shown) -> list[StageRun]:
    labels = _labels(shown.runs)
    return [_stage_run(job, label) for job, label in zip(shown.runs, labels, strict=True)]


def _labels(runs: Sequence[Job]) -> list[str]:
    """What tells the runs of one stage apart: their optimizers, or else their names."""
    titles = [job.settings.optimizer_title for job in runs]
    if len(set(titles)) == len(titles):
        return titles
    members = [str(job.inputs.get("member", "")) for job in runs]
    if all(members):  # of one race, which calls them apart
        return [race_title(member) for member in members]
    return [f"{title} #{job.key}" for job, title in zip(runs, titles, strict=True)]


def _stage_run(job: Job, label: str = "before the branch", *, ghost: bool = False) -> StageRun:
    steps, epochs = history(job).refresh()
    events = history(job).events(int(job.summary.get("thinned", 0)))
    starts = [event.key for event in events if event.kind == "started"]
    return StageRun(
        id=job.id,
        number=job.key,
        label=label,
        settings=edited(job.settings, events),
        optimizer=job.settings.optimizer,
        began=job.settings,
        steps=steps,
        epochs=epochs,
        events=events,
        active=job.active and not ghost,
        ghost=ghost,
        start=max(starts, default=0),
        kept=[] if ghost else service().kept_states(job),
        mislabelled=None if ghost else _mislabelled(job, events),
        classes=int(job.summary.get("about", {}).get("classes", 10)),
    )


def _mislabelled(job: Job, events: Sequence[Event]) -> Mislabelled | None:
    if not any(event.kind == "labels" for event in events):
        return None
    for kept in service().store.records.artifacts(job.key, "mislabelled"):
        return _load_mislabelled(job.id, kept.path)
    return None


@st.cache_resource(max_entries=64, show_spinner=False)
def _load_mislabelled(run_id: str, path: str) -> Mislabelled | None:
    try:
        with np.load(job_dir(run_id) / path) as file:
            return Mislabelled(file["images"], file["given"], file["true"], file["classes"])
    except (OSError, KeyError, ValueError):
        return None
