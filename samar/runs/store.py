"""The store of runs: what was asked, what happened, and what should happen next.

Every method is one transaction. Callers speak of runs by their public id; NaN is stored as NULL.
"""

import os
import secrets
import socket
import time
from collections.abc import Sequence
from typing import Any

import psutil
import sqlalchemy as sa

from samar.errors import ConfigError, RunError
from samar.home import home
from samar.runs import schema
from samar.runs.config import RunConfig
from samar.runs.database import Database
from samar.runs.mailbox import Mailbox
from samar.runs.row import ACTIVE, HELD, RESUMABLE, UNREADABLE, Run, run_from
from samar.runs.series import EPOCH_COLUMNS, RunSeries

STALE_SECONDS = 20.0
# A worker whose process lives on this machine may have been asleep with it.
ASLEEP_SECONDS = 600.0


class Store:
    """Runs, their records, events and controls behind one database URL."""

    def __init__(self, url: str | None = None) -> None:
        url = url or os.environ.get("SAMAR_STORE") or f"sqlite:///{home() / 'samar.db'}"
        self.database = Database(url)
        self.series = RunSeries(self.database)
        self.mailbox = Mailbox(self.database)

    # Runs

    def create(self, config: RunConfig) -> str:
        """Add a queued run and return its id."""
        row = queued_row(config)
        with self.database.write() as db:
            db.execute(schema.runs.insert().values(**row))
        return str(row["id"])

    def get(self, run_id: str) -> Run:
        """One run by its id, by its name, or by a unique beginning of its id.

        Raises:
            RunError: there is none, or more than one.
        """
        table = schema.runs.c
        wishes = [table.id == run_id, table.name == run_id]
        if len(run_id) >= 4:
            wishes.append(table.id.startswith(run_id, autoescape=True))
        for wish in wishes if run_id else ():
            found = self._select(wish)
            if len(found) == 1:
                return found[0]
            if found:
                ids = ", ".join(run.id for run in found[:5])
                raise RunError(f"{run_id!r} fits {len(found)} runs ({ids}); give one of these ids.")
        raise RunError(f"There is no run {run_id!r}; see the list of runs for ids.")

    def all(self) -> list[Run]:
        """All runs, newest first."""
        return self._select(sa.true())

    def of_sweep(self, sweep: str, status: Sequence[str] | None = None) -> list[Run]:
        """The members of a sweep, perhaps only those of some statuses, newest first."""
        members = schema.runs.c.sweep == sweep
        return self._select(
            members if status is None else members & schema.runs.c.status.in_(status)
        )

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Run]:
        runs, steps, epochs = schema.runs, schema.steps, schema.epochs
        at_step, at_epoch = (
            sa.select(sa.func.max(column)).where(column.table.c.run == runs.c.key).correlate(runs)
            for column in (steps.c.step, epochs.c.epoch)
        )
        newest = (epochs.c.run == runs.c.key) & (epochs.c.epoch == at_epoch.scalar_subquery())
        query = (
            sa.select(
                runs,
                at_step.scalar_subquery().label("at_step"),
                *(epochs.c[name].label(f"e_{name}") for name in EPOCH_COLUMNS),
            )
            .select_from(runs.outerjoin(epochs, newest))
            .where(condition)
            .order_by(runs.c.key.desc())
        )
        with self.database.read() as db:
            return [run_from(row._mapping) for row in db.execute(query)]

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name.

        Raises:
            ConfigError: the name is too long.
            RunError: its settings cannot be read.
        """
        run = self.get(run_id)
        if run.status == UNREADABLE:
            raise RunError(run.message)
        config = run.config.changed(name=name)
        values = {"name": config.name, "config": config.model_dump_json()}
        with self.database.write() as db:
            db.execute(schema.runs.update().where(schema.runs.c.key == run.key).values(**values))

    def mark(
        self, run_id: str, *, pinned: bool | None = None, tags: Sequence[str] | None = None
    ) -> None:
        """Pin or unpin a run, or give it other tags; a tag is a word of at most 30 characters.

        Raises:
            ConfigError: a tag is too long, or there are more than 20.
        """
        run, values = self.get(run_id), dict[str, Any]()
        if pinned is not None:
            values["pinned"] = int(pinned)
        if tags is not None:
            values["tags"] = " ".join(words := list(dict.fromkeys(" ".join(tags).split())))
            if len(words) > 20 or any(len(word) > 30 for word in words):
                raise ConfigError("A run has at most 20 tags of at most 30 characters; use fewer.")
        with self.database.write() as db:
            db.execute(schema.runs.update().where(schema.runs.c.key == run.key).values(**values))

    def delete(self, run_id: str) -> None:
        """Forget a run and all its records.

        Raises:
            RunError: a worker still has it.
        """
        run = self.get(run_id)
        free = (schema.runs.c.key == run.key) & schema.runs.c.status.not_in(HELD)
        with self.database.write() as db:
            if not db.execute(schema.runs.update().where(free).values(status="deleted")).rowcount:
                raise RunError(f"Run {run.id} is training or paused; stop it before deleting it.")
            for table in reversed(schema.metadata.sorted_tables):
                if "run" in table.c:
                    db.execute(table.delete().where(table.c.run == run.key))
            db.execute(schema.runs.delete().where(schema.runs.c.key == run.key))

    # Life of a run

    def claim_next(self, limit: int) -> Run | None:
        """Turn the oldest queued run into a running one, unless ``limit`` runs train already.

        A run that a person started goes before the members of sweeps; those of a sweep that is
        paused or stopped stay where they are.
        """
        runs = schema.runs.c
        going = sa.select(schema.sweeps.c.id).where(schema.sweeps.c.status == "running")
        allowed = (runs.status == "queued") & (runs.sweep.is_(None) | runs.sweep.in_(going))
        order = (runs.sweep.is_not(None), runs.key)
        with self.database.write() as db:
            if self._running(db) >= limit:
                return None
            key = db.execute(sa.select(runs.key).where(allowed).order_by(*order).limit(1)).scalar()
            if key is None:
                return None
            db.execute(schema.controls.delete().where(schema.controls.c.run == key))
            now = time.time()
            values = {
                "status": "running",
                "message": "",
                "heartbeat": now,
                "started": now,
                "finished": None,
                "host": socket.gethostname(),
                "pid": None,
                "claim": runs.claim + 1,
            }
            db.execute(schema.runs.update().where(runs.key == key).values(**values))
        return self._select(runs.key == key)[0]

    def unpause(self, run: Run, limit: int) -> bool:
        """Let a paused run train again, unless ``limit`` runs train already."""
        with self.database.write() as db:
            if self._running(db) >= limit:
                return False
            values = {"status": "running", "message": ""}
            return self._change(db, run, ("paused",), values)

    @staticmethod
    def _running(db: sa.Connection) -> int:
        query = sa.select(sa.func.count()).where(schema.runs.c.status == "running")
        return db.execute(query).scalar_one()

    def beat(self, run: Run, **facts: Any) -> bool:
        """Say that the worker lives, and perhaps its process, device and number of steps.

        Returns:
            Whether the worker still has the run; if not, it must stop without saving.
        """
        with self.database.write() as db:
            return self._change(db, run, HELD, {"heartbeat": time.time(), **facts})

    def move(
        self, run: Run, status: str, message: str = "", *, only: tuple[str, ...] = HELD
    ) -> bool:
        """Move a run to another status, if it is in one of ``only`` and nobody claimed it since.

        Returns:
            Whether that was so.
        """
        finished = None if status in ACTIVE else time.time()
        values = {"status": status, "message": message, "finished": finished}
        with self.database.write() as db:
            return self._change(db, run, only, values)

    def requeue(self, run: Run) -> None:
        """Put a run that ended early back into the queue.

        Raises:
            RunError: the run is not one that can go on.
        """
        if run.status == UNREADABLE or not self.move(run, "queued", only=RESUMABLE):
            now = self.get(run.id).status
            raise RunError(f"Run {run.id} is {now}; only {', '.join(RESUMABLE)} runs can go on.")

    def mark_interrupted(self) -> None:
        """Find runs whose worker is gone: no heartbeat, or no process on this machine."""
        for run in self._select(schema.runs.c.status.in_(HELD)):
            silent = time.time() - (run.heartbeat or 0)
            here = run.host == socket.gethostname() and run.pid is not None
            if (not _alive(run.pid) or silent > ASLEEP_SECONDS) if here else silent > STALE_SECONDS:
                message = "The process that trained this run is gone; resume it to go on."
                self.move(run, "interrupted", message)

    @staticmethod
    def _change(db: sa.Connection, run: Run, only: tuple[str, ...], values: dict[str, Any]) -> bool:
        runs = schema.runs.c
        same = (runs.key == run.key) & (runs.claim == run.claim) & runs.status.in_(only)
        return bool(db.execute(schema.runs.update().where(same).values(**values)).rowcount)


def queued_row(config: RunConfig, sweep: str | None = None) -> dict[str, Any]:
    """A new row of ``runs``, perhaps as a member of a sweep."""
    return {
        "id": secrets.token_hex(4),
        "name": config.name,
        "config": config.model_dump_json(),
        "status": "queued",
        "created": time.time(),
        "sweep": sweep,
    }


def _alive(pid: int | None) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
