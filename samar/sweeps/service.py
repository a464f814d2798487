"""Sweeps: coordinators that own many training runs, what keeps them going, and what a person can do
with them; the browser and the command line both call exactly this.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from samar.data.presence import require_data
from samar.errors import SamarError
from samar.jobs.engine.local import asked_to_stop, slots
from samar.jobs.job import ACTIVE, HELD, SKIPPED, Job
from samar.jobs.kind import LONG
from samar.jobs.pace import OFF, PACE
from samar.jobs.records import STOP, WHY
from samar.jobs.service import Jobs
from samar.jobs.sql import schema
from samar.jobs.sql.database import take_turn
from samar.jobs.store import Store, new_row
from samar.sweeps.spec import SweepSpec
from samar.sweeps.values import TASK, same_setting
from samar.training.settings import TrainSettings

ENDED = ("finished", "diverged", "failed", "stopped")
"""Members that take no more time unless the sweep is resumed."""
INTERRUPTED = "interrupted"
WHY_SKIPPED = f"{SKIPPED}: this setting diverged with another seed."
WHY_PRUNED = f"{SKIPPED}: others were better at the same epoch."


@dataclass(frozen=True)
class Sweep:
    """One sweep and how far it is.

    Attributes:
        job: its own; the status is what was asked of it: ``running``, ``paused``, ``stopped``;
            ``finished`` when nothing is left to do; ``failed`` if it could not be taken further.
        counts: members by their status.
    """

    job: Job
    counts: Mapping[str, int]

    @property
    def id(self) -> str:
        """The job's."""
        return self.job.id

    @property
    def status(self) -> str:
        """The job's."""
        return self.job.status

    @property
    def spec(self) -> SweepSpec:
        """The settings that it tries."""
        return self.job.settings  # type: ignore[no-any-return]

    @property
    def title(self) -> str:
        """The name, or what is varied."""
        return self.job.title

    @property
    def members(self) -> int:
        """Members that exist."""
        return sum(self.counts.values())

    @property
    def total(self) -> int:
        """Members that exist or are still to be chosen."""
        if self.spec.sampler == "tpe" and self.status != "finished":
            return max(self.members, self.spec.trials * self.spec.seeds)
        return self.members

    def count(self, statuses: Iterable[str]) -> int:
        """Members that have one of these statuses."""
        return sum(self.counts.get(status, 0) for status in statuses)

    @property
    def ended(self) -> int:
        """Members that are over, in whatever way."""
        return self.count(ENDED)

    @property
    def training(self) -> int:
        """Members that a worker has now."""
        return self.count(HELD)

    @property
    def state(self) -> str:
        """The status, or ``interrupted`` if only dead members keep it from going on."""
        lost = self.counts.get(INTERRUPTED) and not self.count(ACTIVE)
        return INTERRUPTED if self.status == "running" and lost else self.status

    @property
    def notes(self) -> list[str]:
        """How many members ended in another way than they should."""
        shown = ("diverged", "failed", INTERRUPTED, "stopped")
        return [f"{self.counts[status]} {status}" for status in shown if self.counts.get(status)]

    @property
    def active(self) -> bool:
        """Whether something changes by itself."""
        return self.training > 0 or self.state == "running"


class Sweeps:
    """Watch and remove sweeps; :class:`samar.jobs.service.Jobs` starts, holds and resumes them."""

    def __init__(self, jobs: Jobs | None = None) -> None:
        self.jobs = jobs or Jobs()

    def get(self, sweep_id: str) -> Sweep:
        """One sweep as it stands now, by its id, its name, or a unique beginning of its id.

        Raises:
            RunError: there is none, or more than one.
        """
        job = self.jobs.get(sweep_id, "sweep")
        return _with_counts(self.jobs.store, [job])[0]

    def all(self) -> list[Sweep]:
        """All sweeps, newest first."""
        return _with_counts(self.jobs.store, self.jobs.all("sweep"))

    def members(self, sweep: Sweep) -> list[Job]:
        """The sweep's runs, in order of creation."""
        return members_of(self.jobs.store, sweep.job)

    def done(self, sweep: Sweep) -> float:
        """How many members are over, those that train counted by the share of their steps."""
        store = self.jobs.store
        training = store.all("train", parent=sweep.id, status=HELD) if sweep.training else []
        return sweep.ended + sum(run.done / run.total for run in training if run.total)


def prepare(_: Store, spec: SweepSpec) -> Mapping[str, Any]:
    """Make sure that the settings fit together and that what they need is on this machine."""
    if spec.prune:
        import_module("optuna")  # whoever lacks it is told now
    datasets = [settings.dataset for settings in _first(spec)]
    if spec.sampler == "tpe":  # what it draws later is not known yet
        datasets += spec.grid.get("dataset", ())
        datasets += [c.then["dataset"] for c in spec.conditions if "dataset" in c.then]
    for dataset in dict.fromkeys(datasets):
        require_data(dataset)
    return {}


def advance(store: Store, limit: int) -> None:
    """Begin new sweeps, skip what diverged, choose next settings, note which are finished.

    A sweep in which that goes wrong has failed, and says why; the others go on.

    Args:
        limit: how many runs train at once; an adaptive sweep has as many open settings.
    """
    for sweep in _with_counts(store, store.all("sweep", status=("running",))):
        try:
            _take_further(store, sweep, limit)
        except OperationalError:
            raise
        except Exception as error:
            kind = "" if isinstance(error, SamarError) else f"{type(error).__name__}: "
            reason = f"{kind}{error}"
            if store.move(sweep.job, "failed", reason, only=("running",)):
                for member in store.all(parent=sweep.id, status=HELD):
                    store.orders.post(member.key, STOP)


def _take_further(store: Store, sweep: Sweep, limit: int) -> None:
    if sweep.job.total is None and not sweep.members:
        extend(store, sweep, sweep.spec.repeated(_first(sweep.spec)))
        return
    if sweep.ended != sweep.job.done:  # else nothing has diverged since the last look
        if sweep.spec.skip_diverged and sweep.counts.get("diverged"):
            _skip_diverged(store, store.all("train", parent=sweep.id))
        store.beat(sweep.job, done=sweep.ended)
    if sweep.spec.prune and sweep.training:
        _prune(store, sweep)
    if not _goes_on(store, sweep, limit):
        store.beat(sweep.job, total=sweep.members)
        store.move(sweep.job, "finished", only=("running",))


def extend(store: Store, sweep: Sweep, members: Sequence[TrainSettings]) -> bool:
    """Add members, in one transaction, if nobody else did since ``sweep`` was read and it runs.

    Returns:
        Whether that was so.
    """
    table = schema.jobs
    count = sa.select(sa.func.count()).where(table.c.parent == sweep.id)
    own = (table.c.key == sweep.job.key) & (table.c.status == "running")
    rows = [new_row(each, parent=sweep.id, inputs={PACE: OFF}) for each in members]
    total = sweep.members + len(rows)
    if sweep.spec.sampler == "tpe":  # more are still to be chosen
        total = max(total, sweep.spec.trials * sweep.spec.seeds)
    with store.database.write() as db:
        take_turn(db, f"members of {sweep.id}")
        told = table.update().where(own).values(total=total)
        if db.execute(count).scalar() != sweep.members or not db.execute(told).rowcount:
            return False
        if rows:
            db.execute(table.insert(), rows)
    return True


def members_of(store: Store, job: Job) -> list[Job]:
    """A sweep's runs, in order of creation."""
    return store.all("train", parent=job.id)[::-1]


def by_setting(members: Iterable[Job]) -> dict[str, list[Job]]:
    """Members grouped by what their seeds have in common, in order of first appearance.

    Those whose settings cannot be read are left out.
    """
    groups: dict[str, list[Job]] = {}
    for run in members:
        groups.setdefault(same_setting(run.settings), []).append(run)
    return groups


def _with_counts(store: Store, jobs: Sequence[Job]) -> list[Sweep]:
    counts = store.counts([job.id for job in jobs]) if jobs else {}
    return [Sweep(job, counts.get(job.id, {})) for job in jobs]


def _first(spec: SweepSpec) -> list[TrainSettings]:
    """The settings with which a sweep begins: all of them, except for a Bayesian search."""
    if spec.sampler == "grid":
        return spec.settings()
    from samar.sweeps import search  # Optuna, only for those who use it

    return search.drawn(spec) if spec.sampler == "random" else search.first(spec, slots(LONG))


def _skip_diverged(store: Store, members: Sequence[Job]) -> None:
    for runs in by_setting(members).values():
        if any(run.status == "diverged" and not run.edits for run in runs):
            for run in runs:
                store.move(run, "stopped", WHY_SKIPPED, only=("queued",))


def _prune(store: Store, sweep: Sweep) -> None:
    """Tell hopeless members to stop, which frees their places.

    Only runs of one task and as many epochs, whose learning rates fall alike, have a median
    together; an edited run is compared with none.
    """
    alike: dict[tuple[Any, ...], list[Job]] = {}
    for run in members_of(store, sweep.job):
        if run.done and run.status in (*HELD, "finished", "stopped") and not run.edits:
            key = tuple(getattr(run.settings, name) for name in (*TASK, "epochs"))
            alike.setdefault(key, []).append(run)
    for runs in alike.values():
        _prune_alike(store, runs)


def _prune_alike(store: Store, runs: Sequence[Job]) -> None:
    from samar.sweeps.search import hopeless

    training = {run.id: run for run in runs if run.status in HELD}
    ended = [run for run in runs if run.id not in training]
    if not training or not ended:
        return
    reached = store.records.by_epoch([r.key for r in (*training.values(), *ended)], "val_accuracy")
    running = {run.id: reached[run.key] for run in training.values()}
    epochs = runs[0].settings.epochs
    for run_id in hopeless(running, [reached[run.key] for run in ended], epochs):
        run = training[run_id]
        if asked_to_stop(store, run) is None:
            store.orders.post(run.key, STOP, **{WHY: WHY_PRUNED})


def _goes_on(store: Store, sweep: Sweep, limit: int) -> bool:
    """Whether something is left to do; an adaptive sweep chooses new settings if it is time."""
    if sweep.spec.sampler != "tpe":
        return sweep.ended < sweep.members
    settings = by_setting(members_of(store, sweep.job))
    ended = {k: runs for k, runs in settings.items() if all(r.status in ENDED for r in runs)}
    if len(settings) - len(ended) >= limit:
        return True
    from samar.sweeps.search import search

    new = search(sweep.spec, settings, ended, limit)
    if new:
        extend(store, sweep, sweep.spec.repeated(new))
    return bool(new) or len(ended) < len(settings)
