"""Sweeps in the store: a coordinator each, which owns its members among the training runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from samar.jobs import schema
from samar.jobs.job import ACTIVE, HELD, UNREADABLE, Job
from samar.jobs.store import Store, new_row
from samar.sweeps.spec import SweepSpec
from samar.sweeps.values import same_setting
from samar.training.settings import TrainSettings

ENDED = ("finished", "diverged", "failed", "stopped", "unreadable")
"""Members that take no more time unless the sweep is resumed."""
EARLY = ("stopped", "failed", "interrupted")
"""Members that resuming the sweep takes up again, unless they were skipped."""
SKIPPED = "Skipped: this setting diverged with another seed."
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Sweep:
    """One sweep and how far it is.

    Attributes:
        job: its own; the status is what was asked of it: ``running``, ``paused``, ``stopped``;
            ``finished`` when nothing is left to do; ``unreadable`` if another version wrote it.
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
        """What it tries; nothing where that cannot be read."""
        if self.status == UNREADABLE:
            return SweepSpec(name=self.job.settings.name)
        return self.job.settings  # type: ignore[no-any-return]

    @property
    def title(self) -> str:
        """The name, or what is varied."""
        return self.spec.title

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

    @property
    def ended(self) -> int:
        """Members that are over, in whatever way."""
        return sum(self.counts.get(status, 0) for status in ENDED)

    @property
    def training(self) -> int:
        """Members that a worker has now."""
        return self.counts.get("running", 0) + self.counts.get("paused", 0)

    @property
    def state(self) -> str:
        """The status, or ``interrupted`` if only dead members keep it from going on."""
        idle = not any(self.counts.get(status, 0) for status in ACTIVE)
        lost = bool(self.counts.get(INTERRUPTED))
        return INTERRUPTED if self.status == "running" and idle and lost else self.status

    @property
    def active(self) -> bool:
        """Whether something changes by itself."""
        return self.training > 0 or self.state == "running"


class SweepStore:
    """Sweeps among the jobs of a store; every method is one transaction."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def extend(self, sweep: Sweep, members: Sequence[TrainSettings]) -> bool:
        """Add members if nobody else did since ``sweep`` was read and it still runs.

        Returns:
            Whether that was so.
        """
        table = schema.jobs
        count = sa.select(sa.func.count()).where(table.c.parent == sweep.id)
        status = sa.select(table.c.status).where(table.c.key == sweep.job.key)
        rows = [new_row(settings, parent=sweep.id) for settings in members]
        own = table.update().where(table.c.key == sweep.job.key)
        with self.store.database.write() as db:
            if (
                db.execute(count).scalar() != sweep.members
                or db.execute(status).scalar() != "running"
            ):
                return False
            if rows:
                db.execute(table.insert(), rows)
            db.execute(own.values(total=sweep.members + len(rows)))
        return True

    def all(self, status: str | None = None) -> list[Sweep]:
        """All sweeps, or those of one status, newest first."""
        jobs = self.store.all("sweep", status=() if status is None else (status,))
        counts = self.store.counts([job.id for job in jobs])
        return [Sweep(job, counts.get(job.id, {})) for job in jobs]

    def get(self, sweep_id: str) -> Sweep:
        """One sweep by its id, its name, or a unique beginning of its id.

        Raises:
            RunError: there is none, or more than one.
        """
        job = self.store.get(sweep_id, "sweep")
        return Sweep(job, self.store.counts([job.id]).get(job.id, {}))

    def members(self, sweep: Sweep) -> list[Job]:
        """The sweep's runs, in order of creation."""
        return self.store.all("train", parent=sweep.id)[::-1]

    def training(self, sweep: Sweep) -> list[Job]:
        """The members that a worker has now."""
        return self.store.all("train", parent=sweep.id, status=HELD)

    def set_status(self, sweep: Sweep, status: str, *, only: str | None = None) -> None:
        """Say what is asked of a sweep, perhaps only if it still has another status."""
        self.store.move(sweep.job, status, only=(sweep.status,) if only is None else (only,))


def by_setting(members: Iterable[Job]) -> dict[str, list[Job]]:
    """Members grouped by what their seeds have in common, in order of first appearance."""
    groups: dict[str, list[Job]] = {}
    for run in members:
        groups.setdefault(same_setting(run.settings), []).append(run)
    return groups
