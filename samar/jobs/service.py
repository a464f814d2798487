"""What a person can do with jobs; the browser and the command line both call exactly this."""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from samar.errors import ConfigError, RunError
from samar.jobs import roles
from samar.jobs.branch import branch, kept_states, plan_of
from samar.jobs.edits import (
    BY,
    EDITS,
    Edit,
    PlannedEdit,
    check_edits,
    edited,
    edits_of,
    still_planned,
)
from samar.jobs.engine.local import VARIABLES, asked_to_stop, schedule, slots
from samar.jobs.job import (
    ACTIVE,
    ARCHIVE,
    HELD,
    RANKS,
    RESUMABLE,
    SKIPPED,
    WAITS,
    Job,
    job_dir,
    resume_path,
)
from samar.jobs.kind import SHORT, in_lane, kind_of, kinds, of_a_script, trains
from samar.jobs.pace import PACE, parse_pace
from samar.jobs.records import SET_PACE
from samar.jobs.roles import Person, allow
from samar.jobs.store import BEGUN, WATCH_SECONDS, Store
from samar.settings.command import json_line
from samar.settings.declare import settings_of
from samar.settings.job import JobSettings

SCHEDULE_SECONDS = 1.0
OF_A_SCRIPT = "A script of your own does this; run the script again."
KEPT_MEASUREMENTS = 200
"""Measurements without a name, a pin or an owner; older ones are deleted."""


class Jobs:
    """Submit, watch, steer and remove jobs.

    Args:
        store: the default one if None.
        by: who steers, as an edit tells it.
        who: tells who acts, at each act; the owner, who may do everything, if left out. What
            others may not is refused with :class:`samar.errors.NotAllowed`.
    """

    def __init__(
        self, store: Store | None = None, by: str = "script", who: Callable[[], Person] = Person
    ) -> None:
        self.store = store or Store()
        self.by, self.who = by, who
        self._scheduled = 0.0
        self._watched: dict[int, float] = {}

    def submit(
        self,
        settings: JobSettings,
        *,
        parent: str | None = None,
        anew: bool = False,
        edits: Sequence[PlannedEdit] = (),
        pace: str | None = None,
        here: bool = False,
    ) -> str:
        """Queue a job, start it if there is room, and return its id.

        Of a kind whose results are reused, an equal job that has finished or is under way is the
        answer instead, unless ``anew``.

        Args:
            parent: the job that owns it.
            anew: compute again what an earlier job has found.
            edits: of a training run or a race: changes to make at given steps.
            pace: of a training run or a race, see :mod:`samar.jobs.pace`; the usual one if None.
            here: this process does it, whatever else runs.

        Raises:
            SamarError: one sentence about what is missing or does not fit.
        """
        person = self.who()
        self.may_ask(settings)
        kind = kind_of(settings.kind)
        _refuse_script(settings)
        for lane in VARIABLES:
            slots(lane)
        inputs = dict(kind.prepare(self.store, settings)) if kind.prepare else {}
        if edits:
            check_edits(settings, edits, list(kind.members(settings)) if kind.members else [])
            inputs[EDITS] = [edit.model_dump() for edit in edits]
        if pace is not None:
            inputs[PACE] = parse_pace(pace)
        if kind.reused and not anew:
            self.store.mark_interrupted()  # a dead worker finds no answer
            same = self.store.same(settings, inputs)
            if same is not None:
                return same.id
        allow(roles.why_not_start(person, self.store))
        inputs = {**inputs, **roles.mark_of(person)}
        job_id = self.store.create(settings, parent=parent, inputs=inputs, here=here)
        schedule(self.store)
        if kind.lane == SHORT and parent is None:
            self._prune()
        return job_id

    def _prune(self) -> None:
        """Delete the oldest measurements that nobody named."""
        short = [kind.name for kind in kinds().values() if kind.lane == SHORT]
        plain = [
            job
            for job in self.store.all(short)
            if not (job.active or job.pinned or job.tags or job.parent or job.settings.name)
        ]
        for job in plain[KEPT_MEASUREMENTS:]:
            with suppress(RunError):  # another deletes it too, or resumed it
                self._remove(job)

    def may_ask(self, settings: JobSettings) -> None:
        """Go on if whoever asks may ask for such a job at all, also where one answers already.

        Raises:
            NotAllowed: they may not.
        """
        allow(roles.why_not_ask(self.who(), settings))

    def cannot_start(self, settings: JobSettings | None = None, *, more: int = 1) -> str:
        """Why whoever asks may not start a job now, in a sentence; empty if they may."""
        if settings is not None and of_a_script(settings.kind):
            return OF_A_SCRIPT
        return roles.why_not_start(self.who(), self.store, settings, more=more)

    def cannot_resume(self, job: Job) -> str:
        """Why a job that ended early cannot go on, or not for whoever asks; empty if it can.

        What an imported job says of itself is somebody else's: it is asked about once more.
        """
        job = self.store.host(job) or job
        if job.active:
            return ""
        if why_not := self.cannot_start(job.settings):
            return why_not
        if (owner := self.store.resting_owner(job)) is not None:
            return f"Its {owner.kind} {owner.label} is {owner.status}; resume that."
        for each in self._early(job) if in_lane(job.kind, None) else [job]:
            if _left_its_state(each):
                return (
                    f"{each.label} was imported without the state from which it would go on; "
                    "Repeat starts it anew."
                )
        person = self.who()
        for each in (job, *self.store.all(parent=job.id)):
            # Where a job of this store found its networks is no path that somebody named.
            inputs = each.inputs if ARCHIVE in each.inputs else None
            if why_not := roles.why_not_ask(person, each.settings, inputs):
                return why_not
        return ""

    def cannot_steer(self, job: Job) -> str:
        """Why whoever asks may not stop, change or delete a job; empty if they may."""
        return roles.why_not_steer(self.who(), self.store, job)

    def _own(self, job: Job) -> Job:
        """The job, if whoever asks may steer it."""
        allow(self.cannot_steer(job))
        return job

    def get(self, job_id: str, kind: str | Sequence[str] | None = None) -> Job:
        """One job as it stands now, dead workers noticed.

        Raises:
            RunError: there is no such job.
        """
        self.look_after()
        return self.store.get(job_id, kind)

    def all(self, kind: str | Sequence[str] | None = None, **which: Any) -> list[Job]:
        """Jobs, newest first; see :meth:`samar.jobs.store.Store.all`."""
        self.look_after()
        return self.store.all(kind, **which)

    def members(self, job_id: str) -> list[Job]:
        """The members of a race in the order of its settings; of a member, all of its race."""
        job = self._steered(job_id)
        return self.store.members(job)

    def _steered(self, job_id: str) -> Job:
        """The job whose process obeys: of a race's member, the race."""
        job = self.store.get(job_id)
        return self.store.host(job) or job

    def look_after(self) -> None:
        """Schedule the jobs, at most once a second: looking often should not write as often."""
        if time.monotonic() - self._scheduled > SCHEDULE_SECONDS:
            schedule(self.store)
            self._scheduled = time.monotonic()

    def pause(self, job_id: str) -> int:
        """Hold a run after its current step; its place is free for another run.

        Every order to a job returns its number, or 0 where it is carried out at once.

        A paused coordinator starts no further member; those that run come to their end. A race and
        its members are paused, stepped, stopped and resumed together, whichever is named.
        """
        job = self._own(self._steered(job_id))
        if in_lane(job.kind, None):
            return self._hold(job, "paused", ("running",))
        waits = job.message == WAITS  # it is paused, and would go on
        return self._post(job, "pause", HELD if waits else ("running",))

    def step(self, job_id: str) -> int:
        """Let a paused run take one step."""
        return self._post(self._own(self._steered(job_id)), "step", ("paused",))

    def stop(self, job_id: str) -> int:
        """End a job after its current piece of work, a coordinator with its members.

        A coordinator that failed stays so; what still trains of it is ended.
        """
        job = self._own(self._steered(job_id))
        if in_lane(job.kind, None):
            if not (job.status == "failed" and self.store.all(parent=job.id, status=HELD)):
                self._hold(job, "stopped", HELD)
            for member in self.store.all(parent=job.id, status=HELD):
                self.stop(member.id)
        elif not self.store.move(job, "stopped", "Stopped before it began.", only=("queued",)):
            return self._post(self.store.get(job.id), "stop", ACTIVE)
        return 0

    def resume(self, job_id: str, *, ranks: int | None = None, here: bool = False) -> int:
        """Let a paused run go on, or start a job again that ended early, from what it kept.

        A paused run goes on as soon as there is a place, before the jobs that are queued.

        A coordinator's members that ended early are queued again, but those that it skipped.

        Args:
            ranks: of a run that ended early, in how many processes it goes on.
            here: this process does it, whatever else runs.
        """
        self.look_after()
        job = self._own(self._steered(job_id))
        allow(self.cannot_resume(job))
        numbers = {} if ranks is None else {RANKS: _possible_ranks(job, ranks)}
        if in_lane(job.kind, None):
            self._resume_members(job)
        elif job.status == "paused":
            return self.store.orders.post(job.key, "resume")
        else:
            self.store.requeue(job, here=here, **numbers)
            schedule(self.store)
        return 0

    def can_resume(self, job: Job) -> bool:
        """Whether resuming a coordinator would change anything."""
        # What is about to stop could not be told from what was stopped by hand.
        held = self.store.all(parent=job.id, status=HELD)
        if job.status == "stopped" and held:
            return False
        if job.status == "failed" and any(asked_to_stop(self.store, each) for each in held):
            return False
        return job.status in ("paused", *RESUMABLE) or bool(self._early(job))

    def _early(self, job: Job) -> list[Job]:
        """Members of a coordinator that ended before they were done."""
        ended = self.store.all(parent=job.id, status=RESUMABLE)
        return [member for member in ended if not member.message.startswith(SKIPPED)]

    def _resume_members(self, job: Job) -> None:
        title = f"{job.kind.capitalize()} {job.id}"
        if not self.can_resume(job):
            if job.status in RESUMABLE:
                raise RunError(f"{title} is still stopping; resume it in a moment.")
            raise RunError(f"{title} is {job.status}; there is nothing to resume.")
        for member in self._early(job):
            self.store.move(member, "queued", only=RESUMABLE)
        self.store.move(job, "running", only=(job.status,))
        counts = self.store.counts([job.id]).get(job.id, {})
        ended = sum(count for status, count in counts.items() if status not in ACTIVE)
        summary = {**job.summary, BEGUN: ended}
        self.store.beat(job, started=time.time(), summary=json_line(summary))
        schedule(self.store)

    def change(self, job_id: str, /, **values: Any) -> int:
        """Change live settings of a run that trains or is paused; of a race, of all its members.

        Raises:
            ConfigError: a value is out of bounds, or the setting cannot change in mid-run, or a
                script's run has no such number.
        """
        job = self._own(self.store.get(job_id))
        before = self.settings_now(job)
        changed = before.changed_live(**values)
        values = {name: getattr(changed, name) for name in values}
        if of_a_script(job.kind):  # which has no place to keep a value for later
            can = [name for name in self.live_values(job) if before.applies(name)]
            if idle := [name for name in values if name not in can]:
                raise ConfigError(
                    f"The script's optimizer has no {' or '.join(idle)}; these can change: "
                    f"{', '.join(can) or 'none'}."
                )
        racing = [member for member in self.store.members(job) if member.active]
        now = [self.settings_now(each) for each in racing]
        known = [{n: v for n, v in values.items() if each.applies(n)} for each in now]
        if racing and not any(known):
            raise ConfigError(f"None of the optimizers that train has {' or '.join(values)}.")
        for each, own in zip(now, known, strict=True):
            each.changed_live(**own)
        return self._post(job, "change", HELD, **values, **{BY: self.by})

    def set_pace(self, job_id: str, pace: str) -> int:
        """Let a run, or a race, go on at another pace; see :mod:`samar.jobs.pace`.

        Raises:
            ConfigError: it is none.
        """
        pace = parse_pace(pace)
        return self._post(self._own(self._steered(job_id)), SET_PACE, HELD, **{PACE: pace})

    def watch(self, job: Job) -> None:
        """Say that somebody watches a job, or the race that it belongs to: news come sooner."""
        if time.monotonic() - self._watched.get(job.key, -math.inf) > WATCH_SECONDS / 3:
            self._watched[job.key] = time.monotonic()
            self.store.watch(self.store.host(job) or job)

    def measure(self, job_id: str) -> int:
        """Let a run that trains or is paused measure its landscape and curvature at once."""
        return self._post(self._own(self.store.get(job_id)), "measure", HELD)

    def kept_states(self, job: Job) -> list[int]:
        """The steps from which a run can branch, in order."""
        return [kept.step for kept in kept_states(self.store, job)]

    def branch(self, run_id: str, step: int | None = None, **changes: Any) -> str:
        """Start a new run that goes on from a kept moment of another, which stays as it is.

        Args:
            step: one of :meth:`kept_states`; the newest if None.
            changes: live settings to change at that step; ``name`` names the new run.

        Returns:
            The new run's id.

        Raises:
            RunError: the run kept no state at that step.
            ConfigError: a value is out of bounds, or the setting cannot change in mid-run.
        """
        origin, person = self.store.get(run_id, "train"), self.who()
        allow(roles.why_not_start(person, self.store, origin.settings))
        if (prepare := kind_of(origin.kind).prepare) is not None:
            prepare(self.store, origin.settings)
        job_id = branch(self.store, origin, step, changes, self.by, roles.mark_of(person))
        schedule(self.store)
        return job_id

    def edits(self, job: Job) -> list[Edit]:
        """What was changed while a run trained, in order."""
        return edits_of(job.settings, self.store.records.events(job.key)) if job.edits else []

    def again(self, job: Job) -> str:
        """Submit a job once more, with its settings and its edits; returns the new job's id.

        Its edits are those that were made and those that it was still to make.
        """
        events = self.store.records.events(job.key)
        made = [
            PlannedEdit(step=e.step, values=dict(e.values), only=e.only)
            for e in edits_of(job.settings, events)
        ]
        left = still_planned(plan_of(self.store, job), events)
        plan = sorted([*made, *left], key=lambda edit: edit.step)
        return self.submit(job.settings, anew=True, edits=plan)

    def settings_now(self, job: Job) -> Any:
        """A job's settings with every edit made."""
        return edited(job.settings, self.store.records.events(job.key))

    def live_values(self, job: Job) -> dict[str, Any]:
        """Live settings as they are now."""
        now = self.settings_now(job)
        model: type[JobSettings] = type(now)
        return {
            name: getattr(now, name) for name, known in settings_of(model).items() if known.live
        }

    def rename(self, job_id: str, name: str) -> None:
        """Give a job another name."""
        self.store.rename(self._own(self.store.get(job_id)).id, name)

    def pin(self, job_id: str, pinned: bool = True) -> None:
        """Keep a job at the top of lists, or no longer."""
        self.store.mark(self._own(self.store.get(job_id)).id, pinned=pinned)

    def tag(self, job_id: str, tags: Sequence[str]) -> None:
        """Give a job these tags instead of those it had."""
        self.store.mark(self._own(self.store.get(job_id)).id, tags=tags)

    def delete(self, job_id: str) -> None:
        """Remove a job and what it owns, with records and files.

        Raises:
            RunError: it, or one that it owns, is still at work.
        """
        self._remove(self._own(self.store.get(job_id)))

    def _remove(self, job: Job) -> None:
        for gone in self.store.delete(job.id):
            shutil.rmtree(job_dir(gone), ignore_errors=True)

    def _hold(self, job: Job, status: str, allowed: tuple[str, ...]) -> int:
        if not self.store.move(job, status, only=allowed):
            raise RunError(
                f"{job.kind.capitalize()} {job.id} is {job.status}; only one that is "
                f"{' or '.join(allowed)} can be {status}."
            )
        return 0

    def _post(self, job: Job, command: str, allowed: tuple[str, ...], **detail: Any) -> int:
        if job.status not in allowed:
            raise RunError(
                f"Run {job.id} is {job.status}; "
                f"{command} needs a run that is {' or '.join(allowed)}."
            )
        return self.store.orders.post(job.key, command, **detail)


def _refuse_script(settings: JobSettings) -> None:
    """Go on if a job is one that samar itself can do.

    Raises:
        RunError: it is not.
    """
    if of_a_script(settings.kind):
        raise RunError(OF_A_SCRIPT)


def _left_its_state(job: Job) -> bool:
    """Whether a training run, or a race, was imported: what it resumes from is in no archive."""
    if ARCHIVE not in job.inputs or not job.done:
        return False
    trained = trains(job.kind) or kind_of(job.kind).members is not None
    return trained and not resume_path(job.id).is_file()


def _possible_ranks(job: Job, ranks: int) -> int:
    """In how many processes a run that ended early is to go on.

    Raises:
        SamarError: it cannot.
    """
    if job.kind != "train" or job.status not in RESUMABLE:
        raise ConfigError(
            f"Job {job.id} is {job.status}; only a training run that ended early goes on in "
            "another number of processes."
        )
    job.settings.changed(**{RANKS: ranks})
    return ranks
