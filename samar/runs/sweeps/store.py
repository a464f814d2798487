"""Sweeps in the store: one row each, and their members among the runs."""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from samar.errors import RunError, SamarError
from samar.runs import schema
from samar.runs.config import RunConfig
from samar.runs.row import ACTIVE, HELD, Run
from samar.runs.store import Store, queued_row
from samar.runs.sweeps.spec import SweepSpec
from samar.runs.sweeps.values import same_setting

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
        status: what was asked of it: ``running``, ``paused``, ``stopped``; ``finished`` when
            nothing is left to do; ``unreadable`` if another version wrote it.
        counts: members by their status.
    """

    key: int
    id: str
    name: str
    spec: SweepSpec
    status: str
    created: float
    counts: Mapping[str, int]

    @property
    def title(self) -> str:
        """The name, or what is varied."""
        return self.name or " × ".join(self.spec.varied) or "repeated seeds"

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
    """Sweeps behind the same database as the runs; every method is one transaction."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._database = store.database

    def create(self, spec: SweepSpec, members: Iterable[RunConfig]) -> str:
        """Add a sweep together with its members, all or nothing, and return its id."""
        sweep_id = secrets.token_hex(4)
        with self._database.write() as db:
            db.execute(
                schema.sweeps.insert().values(
                    id=sweep_id,
                    name=spec.name,
                    spec=spec.model_dump_json(),
                    status="running",
                    created=time.time(),
                )
            )
            _add(db, sweep_id, members)
        return sweep_id

    def extend(self, sweep: Sweep, members: Sequence[RunConfig]) -> bool:
        """Add members if nobody else did since ``sweep`` was read and it still runs.

        Returns:
            Whether that was so.
        """
        of_sweep = schema.runs.c.sweep == sweep.id
        count = sa.select(sa.func.count()).select_from(schema.runs).where(of_sweep)
        status = sa.select(schema.sweeps.c.status).where(schema.sweeps.c.key == sweep.key)
        with self._database.write() as db:
            if (
                db.execute(count).scalar() != sweep.members
                or db.execute(status).scalar() != "running"
            ):
                return False
            _add(db, sweep.id, members)
        return True

    def all(self, status: str | None = None) -> list[Sweep]:
        """All sweeps, or those of one status, newest first."""
        return self._select(sa.true() if status is None else schema.sweeps.c.status == status)

    def get(self, sweep_id: str) -> Sweep:
        """One sweep by its id, its name, or a unique beginning of its id.

        Raises:
            RunError: there is none, or more than one.
        """
        table = schema.sweeps.c
        wishes = [table.id == sweep_id, table.name == sweep_id]
        if len(sweep_id) >= 4:
            wishes.append(table.id.startswith(sweep_id, autoescape=True))
        for wish in wishes if sweep_id else ():
            found = self._select(wish)
            if len(found) == 1:
                return found[0]
            if found:
                ids = ", ".join(sweep.id for sweep in found[:5])
                raise RunError(
                    f"{sweep_id!r} fits {len(found)} sweeps ({ids}); give one of these ids."
                )
        raise RunError(f"There is no sweep {sweep_id!r}; see the list of sweeps for ids.")

    def members(self, sweep: Sweep) -> list[Run]:
        """The sweep's runs, in order of creation."""
        return self.store.of_sweep(sweep.id)[::-1]

    def training(self, sweep: Sweep) -> list[Run]:
        """The members that a worker has now."""
        return self.store.of_sweep(sweep.id, HELD)

    def set_status(self, sweep: Sweep, status: str, *, only: str | None = None) -> None:
        """Say what is asked of a sweep, perhaps only if it still has another status."""
        same = schema.sweeps.c.key == sweep.key
        if only is not None:
            same &= schema.sweeps.c.status == only
        with self._database.write() as db:
            db.execute(schema.sweeps.update().where(same).values(status=status))

    def delete(self, sweep: Sweep) -> None:
        """Forget the row of a sweep whose members are gone."""
        with self._database.write() as db:
            db.execute(schema.sweeps.delete().where(schema.sweeps.c.key == sweep.key))

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Sweep]:
        sweeps, runs = schema.sweeps, schema.runs
        rows = sa.select(sweeps).where(condition).order_by(sweeps.c.key.desc())
        chosen = sa.select(sweeps.c.id).where(condition)
        count = (
            sa.select(runs.c.sweep, runs.c.status, sa.func.count().label("members"))
            .where(runs.c.sweep.in_(chosen))
            .group_by(runs.c.sweep, runs.c.status)
        )
        with self._database.read() as db:
            found = db.execute(rows).all()
            counts: dict[str, dict[str, int]] = {}
            for sweep_id, status, members in db.execute(count) if found else ():
                counts.setdefault(sweep_id, {})[status] = members
        return [_sweep(row._mapping, counts.get(row.id, {})) for row in found]


def by_setting(members: Iterable[Run]) -> dict[str, list[Run]]:
    """Members grouped by what their seeds have in common, in order of first appearance."""
    groups: dict[str, list[Run]] = {}
    for run in members:
        groups.setdefault(same_setting(run.config), []).append(run)
    return groups


def _add(db: sa.Connection, sweep_id: str, members: Iterable[RunConfig]) -> None:
    rows = [queued_row(config, sweep_id) for config in members]
    if rows:
        db.execute(schema.runs.insert(), rows)


def _sweep(row: Any, counts: Mapping[str, int]) -> Sweep:
    own = {name: row[name] for name in ("key", "id", "name", "status", "created")}
    try:
        spec = _spec(row["spec"])
    except (ValidationError, SamarError):  # written by another version; it can still be deleted
        spec, own["status"] = SweepSpec(name=row["name"]), "unreadable"
    return Sweep(**own, spec=spec, counts=counts)


@lru_cache(maxsize=64)
def _spec(text: str) -> SweepSpec:
    """A spec from its JSON; checking a large grid takes longer than looking often allows."""
    return SweepSpec.model_validate_json(text)
