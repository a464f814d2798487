"""What a run recorded: steps, epochs, events, files; appended in batches, read incrementally."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import sqlalchemy as sa

from samar.runs import schema
from samar.runs.database import Database
from samar.training import EpochRecord, StepRecord

STEP_COLUMNS = tuple(field.name for field in fields(StepRecord))
EPOCH_COLUMNS = tuple(field.name for field in fields(EpochRecord))
Columns = dict[str, np.ndarray]
LOOKS = ("curvature", "film")
"""Kinds of the events that probes record."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a run at a step, such as a change by hand."""

    step: int
    kind: str
    detail: dict[str, Any]
    at: float


@dataclass(frozen=True)
class Artifact:
    """A file that a run wrote."""

    kind: str
    step: int
    path: str
    at: float


class RunSeries:
    """Records of runs, by the run's key. NaN is stored as NULL and comes back as NaN."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, run: int, steps: Sequence[StepRecord] = (), epochs: Sequence[EpochRecord] = ()
    ) -> None:
        """Add records in one transaction; a step recorded before is replaced."""
        with self._database.write() as db:
            _insert(db, schema.steps, STEP_COLUMNS, run, steps)
            _insert(db, schema.epochs, EPOCH_COLUMNS, run, epochs)

    def steps(self, run: int, after: int = 0) -> Columns:
        """Columns of every step beyond ``after``, as float64 arrays in order of step."""
        return self._columns(schema.steps, STEP_COLUMNS, run, after)

    def epochs(self, run: int, after: int = 0) -> Columns:
        """Columns of every epoch that ended beyond step ``after``."""
        return self._columns(schema.epochs, EPOCH_COLUMNS, run, after)

    def last_start(self, run: int) -> tuple[int, int]:
        """Key of the newest ``started`` event and the step from which training then went on."""
        table = schema.events
        query = (
            sa.select(table.c.key, table.c.step)
            .where((table.c.run == run) & (table.c.kind == "started"))
            .order_by(table.c.key.desc())
            .limit(1)
        )
        with self._database.read() as db:
            row = db.execute(query).first()
        return (row.key, row.step) if row else (0, 0)

    def rewind(self, run: int, step: int) -> None:
        """Forget what was recorded beyond a step, before it is computed again."""
        with self._database.write() as db:
            for table in (schema.steps, schema.epochs, schema.artifacts):
                db.execute(table.delete().where((table.c.run == run) & (table.c.step > step)))
            again = (schema.events.c.run == run) & (schema.events.c.step > step)
            looked = schema.events.c.kind.in_(LOOKS)
            db.execute(schema.events.delete().where(again & looked))

    def note(self, run: int, step: int, kind: str, **detail: Any) -> None:
        """Record an event."""
        values = {"run": run, "step": step, "kind": kind, "at": time.time()}
        with self._database.write() as db:
            db.execute(schema.events.insert().values(**values, detail=json.dumps(detail)))

    def events(self, run: int) -> list[Event]:
        """All events of a run in order."""
        table = schema.events
        query = sa.select(table).where(table.c.run == run).order_by(table.c.key)
        with self._database.read() as db:
            rows = db.execute(query).all()
        return [Event(row.step, row.kind, json.loads(row.detail), row.at) for row in rows]

    def add_artifact(self, run: int, kind: str, step: int, path: str) -> None:
        """Note a file; one of the same kind and step is replaced."""
        table = schema.artifacts
        same = (table.c.run == run) & (table.c.kind == kind) & (table.c.step == step)
        with self._database.write() as db:
            db.execute(table.delete().where(same))
            db.execute(
                table.insert().values(run=run, kind=kind, step=step, path=path, at=time.time())
            )

    def steps_of(self, run: int, kind: str) -> list[int]:
        """The steps at which files of a kind were written, in order."""
        return [artifact.step for artifact in self.artifacts(run) if artifact.kind == kind]

    def artifacts(self, run: int) -> list[Artifact]:
        """All files of a run, oldest first."""
        table = schema.artifacts
        query = sa.select(table).where(table.c.run == run).order_by(table.c.key)
        with self._database.read() as db:
            return [Artifact(r.kind, r.step, r.path, r.at) for r in db.execute(query)]

    def _columns(self, table: sa.Table, names: tuple[str, ...], run: int, after: int) -> Columns:
        query = (
            sa.select(*(table.c[name] for name in names))
            .where((table.c.run == run) & (table.c.step > after))
            .order_by(table.c.step)
        )
        with self._database.read() as db:
            rows = db.execute(query).all()
        values = np.array([tuple(row) for row in rows], dtype=float).reshape(len(rows), len(names))
        return dict(zip(names, values.T, strict=True))


def _insert(
    db: sa.Connection,
    table: sa.Table,
    names: tuple[str, ...],
    run: int,
    records: Iterable[StepRecord] | Iterable[EpochRecord],
) -> None:
    rows = [(run, *astuple(record)) for record in records]
    if rows:
        keys = [c.name for c in table.primary_key if c.name != "run"]
        first = names.index(keys[0]) + 1
        old = (table.c.run == run) & (table.c[keys[0]] >= rows[0][first])
        db.execute(table.delete().where(old))
        db.execute(table.insert(), [dict(zip(("run", *names), row, strict=True)) for row in rows])
