"""The store of runs: what was asked, what happened, and what should happen next.

Every method is one transaction. Callers speak of runs by their public id; NaN is stored as NULL.
"""

import os
import secrets
import socket
import time
from dataclasses import dataclass
from typing import Any

import psutil
import sqlalchemy as sa

from samar.errors import RunError
from samar.runs import schema
from samar.runs.config import RunConfig
from samar.runs.database import Database
from samar.runs.mailbox import Mailbox
from samar.runs.paths import home
from samar.runs.series import EPOCH_COLUMNS, RunSeries
from samar.training import EpochRecord
from samar.training.records import NAN

ACTIVE = ("queued", "running", "paused")
RESUMABLE = ("stopped", "interrupted", "failed")
STALE_SECONDS = 20.0


@dataclass(frozen=True)
class Run:
    """One row of the store, with where the run stands now."""

    key: int
    id: str
    config: RunConfig
    status: str
    message: str
    created: float
    started: float | None
    finished: float | None
    heartbeat: float | None
    host: str | None
    pid: int | None
    total_steps: int | None
    device: str | None
    step: int
    last_epoch: EpochRecord | None

    @property
    def title(self) -> str:
        """The run's name, or a description of its settings."""
        return self.config.title

    @property
    def active(self) -> bool:
        """Whether a worker has it or will have it."""
        return self.status in ACTIVE


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
        run_id = secrets.token_hex(4)
        with self.database.write() as db:
            db.execute(
                schema.runs.insert().values(
                    id=run_id,
                    name=config.name,
                    config=config.model_dump_json(),
                    status="queued",
                    created=time.time(),
                )
            )
        return run_id

    def get(self, run_id: str) -> Run:
        """One run by id, by a unique beginning of its id, or by its name.

        Raises:
            RunError: there is none, or more than one.
        """
        table = schema.runs.c
        for condition in (
            table.id == run_id,
            table.id.startswith(run_id, autoescape=True),
            table.name == run_id,
        ):
            found = self._select(condition) if run_id else []
            if len(found) == 1:
                return found[0]
            if found:
                raise RunError(f"{run_id!r} fits {len(found)} runs; give more of the id.")
        raise RunError(f"There is no run {run_id!r}; see the list of runs for ids.")

    def all(self) -> list[Run]:
        """All runs, newest first."""
        return self._select(sa.true())

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
            return [_run(row._mapping) for row in db.execute(query)]

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name.

        Raises:
            ConfigError: the name is too long.
        """
        run = self.get(run_id)
        config = run.config.changed(name=name)
        self._update(run.key, name=config.name, config=config.model_dump_json())

    def delete(self, run_id: str) -> None:
        """Forget a run and all its records.

        Raises:
            RunError: a worker still has it.
        """
        run = self.get(run_id)
        if run.status in ("running", "paused"):
            raise RunError(f"Run {run.id} is {run.status}; stop it before deleting it.")
        with self.database.write() as db:
            for table in (
                schema.steps,
                schema.epochs,
                schema.events,
                schema.controls,
                schema.artifacts,
            ):
                db.execute(table.delete().where(table.c.run == run.key))
            db.execute(schema.runs.delete().where(schema.runs.c.key == run.key))

    # Life of a run

    def claim_next(self, limit: int) -> Run | None:
        """Turn the oldest queued run into a running one, unless ``limit`` runs train already."""
        runs = schema.runs.c
        with self.database.write() as db:
            if self._running(db) >= limit:
                return None
            key = db.execute(
                sa.select(runs.key).where(runs.status == "queued").order_by(runs.key).limit(1)
            ).scalar()
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
            }
            db.execute(
                schema.runs.update()
                .where(runs.key == key)
                .values(**values, host=socket.gethostname(), pid=None)
            )
        return self._select(runs.key == key)[0]

    def unpause(self, key: int, limit: int) -> bool:
        """Let a paused run train again, unless ``limit`` runs train already."""
        with self.database.write() as db:
            if self._running(db) >= limit:
                return False
            db.execute(
                schema.runs.update()
                .where(schema.runs.c.key == key)
                .values(status="running", message="")
            )
        return True

    @staticmethod
    def _running(db: sa.Connection) -> int:
        query = sa.select(sa.func.count()).where(schema.runs.c.status == "running")
        return db.execute(query).scalar_one()

    def take(
        self, key: int, pid: int, total_steps: int | None = None, device: str | None = None
    ) -> None:
        """Note which process trains a run."""
        known = {
            n: v for n, v in (("total_steps", total_steps), ("device", device)) if v is not None
        }
        self._update(key, pid=pid, heartbeat=time.time(), host=socket.gethostname(), **known)

    def beat(self, key: int) -> None:
        """Say that the worker lives."""
        self._update(key, heartbeat=time.time())

    def set_status(self, key: int, status: str, message: str = "") -> None:
        """Move a run to another status."""
        over = {} if status in ACTIVE else {"finished": time.time()}
        self._update(key, status=status, message=message, **over)

    def requeue(self, run: Run) -> None:
        """Put a run that ended early back into the queue.

        Raises:
            RunError: the run is not one that can go on.
        """
        if run.status not in RESUMABLE:
            raise RunError(
                f"Run {run.id} is {run.status}; only {', '.join(RESUMABLE)} runs can go on."
            )
        self._update(run.key, status="queued", message="", finished=None)

    def mark_interrupted(self) -> None:
        """Find runs whose worker is gone: no heartbeat, or no process on this machine."""
        runs, host, now = schema.runs.c, socket.gethostname(), time.time()
        held = runs.status.in_(("running", "paused"))
        with self.database.read() as db:
            rows = db.execute(sa.select(runs.key, runs.heartbeat, runs.host, runs.pid).where(held))
            gone = [
                key
                for key, heartbeat, where, pid in rows
                if now - heartbeat > STALE_SECONDS or (where == host and pid and not _alive(pid))
            ]
        if gone:
            message = "The process that trained this run is gone; resume it to go on."
            values = {"status": "interrupted", "message": message, "finished": now}
            with self.database.write() as db:
                db.execute(schema.runs.update().where(held & runs.key.in_(gone)).values(**values))

    def _update(self, key: int, **values: Any) -> None:
        with self.database.write() as db:
            db.execute(schema.runs.update().where(schema.runs.c.key == key).values(**values))


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _run(row: Any) -> Run:
    own = {name: row[name] for name in Run.__dataclass_fields__ if name in row}
    epoch = {name: row[f"e_{name}"] for name in EPOCH_COLUMNS}
    nan_for_null: dict[str, Any] = {n: NAN if v is None else v for n, v in epoch.items()}
    return Run(
        **{**own, "config": RunConfig.model_validate_json(row["config"])},
        step=row["at_step"] or 0,
        last_epoch=None if epoch["epoch"] is None else EpochRecord(**nan_for_null),
    )
