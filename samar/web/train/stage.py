"""The stage on the page: the runs that the address names, kept up to date while they go on.

A fragment looks at the store about twice a second and sends the browser what is new.
"""

import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import streamlit as st

from samar.charts.stage.feed import Feed, Mislabelled, StageRun
from samar.charts.stage.tiles import tiles
from samar.charts.stage.words import people, status_line, status_word, story
from samar.charts.training import View
from samar.errors import RunError
from samar.jobs.edits import edited
from samar.jobs.job import HELD, Job, job_dir
from samar.jobs.kind import training_kinds
from samar.jobs.pace import OFF, pace_of
from samar.jobs.records import Event
from samar.jobs.roles import allow
from samar.kinds.race import title_of as race_title
from samar.kinds.train import REFINED_SECONDS
from samar.web.server import PLOTLY_JS, STAGE_JS, component, static_url
from samar.web.service import attempt, explained, history, service
from samar.web.state import COMPARED, FEED, LOOK, MOVED, PROBLEM, show_run, shown_run

MOST_RUNS = 4
"""So many stand on one stage."""
REFRESH_SECONDS = 0.5
UNITS = {"step": "steps", "grad_evals": "gradients", "seconds": "s"}
EAGER_SECONDS, EAGER_STEPS = 0.2, 30
"""Before the first numbers a page is looked at more often, until so many steps are drawn."""
SHARED_SECONDS = 0.15
"""So long one look at the store serves everybody who watches the same runs."""

_component = component("samar_stage", html="stage.html.j2", css="stage.css", js=STAGE_JS)


@dataclass(frozen=True)
class Shown:
    """What stands on the stage.

    Attributes:
        whole: the job that is steered, a run or a race; None for runs that were put together.
        runs: with its records.
        origin: the run that a branch left.
    """

    whole: Job | None = None
    runs: tuple[Job, ...] = ()
    origin: Job | None = None

    @property
    def state(self) -> tuple[tuple[str, str, int], ...]:
        """What makes the page draw itself again when it changes."""
        return tuple((job.status, job.message, job.edits) for job in self._jobs)

    @property
    def active(self) -> bool:
        """Whether there will be news: for a while after its end a landscape gets finer."""
        now = time.time()
        return any(j.active or now - (j.finished or 0) < REFINED_SECONDS for j in self._jobs)

    @property
    def _jobs(self) -> tuple[Job, ...]:
        return self.runs if self.whole is None else (self.whole, *self.runs)


def shown_of(run_id: str | None, together: Sequence[str] = ()) -> Shown:
    """What the address names.

    Raises:
        RunError: there is no such run or race.
    """
    if together:
        return Shown(None, tuple(_run(each) for each in together))
    if run_id is None:
        return Shown()
    race = None
    with suppress(RunError):  # it is no race, or there is none
        race = service().get(run_id, "race")
    if race is not None:
        return Shown(race, tuple(service().members(race.id)))
    run = _run(run_id)
    return Shown(run, (run,), _origin(run))


def _run(run_id: str) -> Job:
    return service().get(run_id, training_kinds())


def _origin(job: Job) -> Job | None:
    branch = job.inputs.get("branch")
    if branch is None:
        return None
    try:
        return _run(str(branch["run"]))
    except RunError:  # deleted meanwhile
        return None


def several() -> list[str]:
    """Runs that the address puts together on the stage."""
    names = st.query_params.get(COMPARED, "").split(",")
    return list(dict.fromkeys(name for name in names if name))[:MOST_RUNS]


def stage(shown: Shown, run_id: str | None, together: Sequence[str], view: View) -> None:
    """Draw the stage and keep it up to date while there is news; several tabs may watch a run."""
    name = ",".join(job.id for job in shown.runs)
    st.session_state[FEED] = Feed(name)
    st.session_state[LOOK] = look = _look(run_id, tuple(together))
    look.forget()  # something may have been done just now
    eager = shown.active and not any(job.done for job in shown.runs)
    every = (EAGER_SECONDS if eager else REFRESH_SECONDS) if shown.active else None
    st.fragment(explained()(_tick), run_every=every)(shown.state, view, eager)


def _tick(drawn: tuple[tuple[str, str, int], ...], view: View, eager: bool) -> None:
    look: Look = st.session_state[LOOK]
    try:
        shown, runs = look.seen()
    except Gone:  # deleted elsewhere: the page says so
        st.rerun()
    feed: Feed = st.session_state[FEED]
    lead = max(shown.runs, key=lambda job: job.active, default=None)
    states = {job.id: job.status for job in shown.runs if job.status in ("diverged", "failed")}
    _component(
        key="stage",
        data={
            "message": feed.message(runs),
            "view": {
                "axis": view.x,
                "smoothing": view.smoothing,
                "log": view.log,
                "unit": UNITS[view.x],
            },
            "spec": tiles(runs, _unobserved(shown.whole or lead)),
            "words": {
                "word": status_word(shown.whole, runs),
                "status": status_line(shown.whole, runs),
                "story": story(
                    shown.whole,
                    runs,
                    view.x,
                    [each for each in states if states[each] == "diverged"],
                ),
                "people": people(runs, states),
            },
            "library": static_url(PLOTLY_JS),
        },
        on_order_change=_obey,
    )
    # Only now, because a fragment that ends without its component takes it off the page.
    moved = st.session_state.pop(MOVED, False) or PROBLEM in st.session_state
    begun = any(job.done >= EAGER_STEPS for job in shown.runs)
    if moved or (eager and begun) or shown.state != drawn:
        st.rerun()


def _unobserved(job: Job | None) -> str:
    """Why nothing is measured while a job trains, in a sentence; empty if it is."""
    if job is None or (told := str(job.summary.get("observer", ""))):
        return told if job else ""
    if pace_of(job.inputs, job.summary) == OFF:
        return "Nothing is measured at pace off." + " Measure now does it once." * job.active
    return ""


class Gone(RunError):
    """What the address names is not there any more."""


class Look:
    """One look at the store for everybody who watches the same runs, as a class may do."""

    def __init__(self, run_id: str | None, together: Sequence[str]) -> None:
        self._what = run_id, together
        self._lock = threading.Lock()
        self._at = -math.inf
        self._problem: RunError | None = None

    def seen(self) -> tuple[Shown, Sequence[StageRun]]:
        """What stands on the stage, with what is known of it; a moment old at most.

        Raises:
            Gone: there is no such run or race.
            RunError: its records cannot be read.
        """
        with self._lock:
            if time.monotonic() - self._at > SHARED_SECONDS:
                try:
                    self._seen, self._problem = self._read(), None
                except RunError as problem:
                    self._problem = problem
                self._at = time.monotonic()
            if self._problem is not None:
                raise self._problem
            return self._seen

    def forget(self) -> None:
        """Look again next time."""
        with self._lock:
            self._at = -math.inf

    def _read(self) -> tuple[Shown, Sequence[StageRun]]:
        try:
            shown = shown_of(*self._what)
        except RunError as error:
            raise Gone(str(error)) from None
        if shown.whole is not None and shown.active:
            service().watch(shown.whole)
        ghost = [_stage_run(shown.origin, ghost=True)] if shown.origin else []
        return shown, [*ghost, *_runs(shown)]


_looks: "WeakValueDictionary[tuple[Any, ...], Look]" = WeakValueDictionary()
_looking = threading.Lock()


def _look(*what: Any) -> Look:
    """The look that others take too; it goes with the last session that holds it."""
    with _looking:
        look = _looks.get(what)
        if look is None:
            look = _looks[what] = Look(*what)
        return look


def _obey() -> None:
    """Do what a button of the stage asks for."""
    order: Mapping[str, Any] | None = st.session_state["stage"].get("order")
    match order and order["what"]:
        case "resync":
            st.session_state[FEED] = Feed(st.session_state[FEED].stage)
        case "wake":  # no message came for long: the page's timer was lost
            st.session_state[MOVED] = True
        case "measure":
            attempt(_measure)
        case "branch":
            attempt(lambda: _branch(service().get(shown_run() or ""), int(order["step"])))  # type: ignore[index]


def _measure() -> None:
    """Let everything on the stage that goes on measure now."""
    shown = shown_of(shown_run(), several())
    for job in [shown.whole] if shown.whole else shown.runs:
        if job.status in HELD:
            service().measure(job.id)


def _branch(run: Job, step: int) -> None:
    """Go on from a kept moment, as a run of its own; one that still trains ends for it."""
    allow(service().cannot_start(run.settings))
    if run.active:
        service().stop(run.id)
    show_run(service().branch(run.id, step))
    st.session_state[MOVED] = True


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
    import numpy as np

    try:
        with np.load(job_dir(run_id) / path) as file:
            return Mislabelled(file["images"], file["given"], file["true"], file["classes"])
    except (OSError, KeyError, ValueError):
        return None
